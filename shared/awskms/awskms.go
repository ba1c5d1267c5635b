// Package awskms has AWS KMS make and unwrap the data keys that secrets are sealed
// under.
package awskms

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"webhookrelay/shared/seal"
)

// Keys is one KMS key as a key service.
type Keys struct {
	client *kms.Client
	key    string
}

var _ seal.DataKeys = (*Keys)(nil)

// New returns the key with the given ARN.
func New(client *kms.Client, arn string) *Keys { return &Keys{client, arn} }

// NewDataKey implements seal.DataKeys by one GenerateDataKey.
func (k *Keys) NewDataKey(ctx context.Context, at seal.Place) (key, wrapped []byte, err error) {
	out, err := k.client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: aws.String(k.key), KeySpec: types.DataKeySpecAes256, EncryptionContext: EncryptionContext(at),
	})
	if err != nil {
		return nil, nil, err
	}
	return out.Plaintext, out.CiphertextBlob, nil
}

// Unwrap implements seal.DataKeys by one Decrypt. Of KMS's errors only
// InvalidCiphertext, which also stands for a wrong context, is one of what is
// wrapped. Denied access, a disabled key, or one that another key wrapped are
// faults of the deployment, which its operator can mend.
func (k *Keys) Unwrap(ctx context.Context, wrapped []byte, at seal.Place) ([]byte, error) {
	out, err := k.client.Decrypt(ctx, &kms.DecryptInput{
		KeyId: aws.String(k.key), CiphertextBlob: wrapped, EncryptionContext: EncryptionContext(at),
	})
	if _, ok := errors.AsType[*types.InvalidCiphertextException](err); ok {
		return nil, fmt.Errorf("%w (%w)", seal.ErrBroken, err)
	}
	if err != nil {
		return nil, err
	}
	return out.Plaintext, nil
}

// EncryptionContext says what a data key is for. KMS unwraps it for the same
// context only, and CloudTrail shows it with each call; template.yaml names these
// keys in the functions' permissions.
func EncryptionContext(at seal.Place) map[string]string {
	return map[string]string{
		"tenant": string(at.Tenant), "endpoint": string(at.Endpoint), "purpose": string(at.Purpose),
	}
}
