package awskms_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"webhookrelay/shared/awskms"
	"webhookrelay/shared/seal"
	"webhookrelay/shared/storetest"
)

func newClient(endpoint string) *kms.Client {
	return kms.New(kms.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

// newKey makes a KMS key at the emulator (or in the account) that
// RELAY_TEST_AWS_ENDPOINT names, and returns its ARN.
func newKey(t *testing.T, client *kms.Client) string {
	t.Helper()
	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{Description: aws.String("a test of the webhook relay")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := client.ScheduleKeyDeletion(context.Background(), &kms.ScheduleKeyDeletionInput{
			KeyId: made.KeyMetadata.KeyId, PendingWindowInDays: aws.Int32(7),
		})
		if err != nil {
			t.Error(err)
		}
	})
	return *made.KeyMetadata.Arn
}

func TestKMSKeepsTheRules(t *testing.T) {
	endpoint := os.Getenv("RELAY_TEST_AWS_ENDPOINT")
	if endpoint == "" {
		if os.Getenv("RELAY_TEST_REQUIRED") == "1" {
			t.Fatal("RELAY_TEST_AWS_ENDPOINT is not set, and RELAY_TEST_REQUIRED=1 demands it")
		}
		t.Skip("RELAY_TEST_AWS_ENDPOINT is not set")
	}
	client := newClient(endpoint)
	key := awskms.New(client, newKey(t, client))
	storetest.DataKeys(t, key)

	t.Run("WhatAnotherKeyWrappedIsTheDeploymentsFault", func(t *testing.T) {
		place := seal.Place{Tenant: "acme", Endpoint: "shop", Purpose: seal.Signing}
		_, wrapped, err := awskms.New(client, newKey(t, client)).NewDataKey(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.Unwrap(t.Context(), wrapped, place); err == nil || errors.Is(err, seal.ErrBroken) {
			t.Errorf("got error %v", err)
		}
	})
}

const arn = "arn:aws:kms:us-east-1:111122223333:key/1"

// answering returns a key at a KMS that always gives the one answer, and a place
// where its last request can be seen.
func answering(t *testing.T, status int, body string) (*awskms.Keys, *request) {
	t.Helper()
	var last request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last = request{Operation: r.Header.Get("X-Amz-Target")}
		if err := json.NewDecoder(r.Body).Decode(&last); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return awskms.New(newClient(server.URL), arn), &last
}

type request struct {
	Operation         string `json:"-"`
	KeyId             string
	KeySpec           string
	CiphertextBlob    []byte
	EncryptionContext map[string]string
}

var place = seal.Place{Tenant: "acme", Endpoint: "shop", Purpose: seal.Signing}

func TestEachCallNamesTheKeyAndThePlace(t *testing.T) {
	t.Parallel()
	where := map[string]string{"tenant": "acme", "endpoint": "shop", "purpose": "signing"}
	keys, made := answering(t, 200, `{"Plaintext":"cGxhaW4=","CiphertextBlob":"d3JhcHBlZA==","KeyId":"`+arn+`"}`)
	plain, wrapped, err := keys.NewDataKey(t.Context(), place)
	if err != nil || string(plain) != "plain" || string(wrapped) != "wrapped" {
		t.Fatalf("%q, %q, %v", plain, wrapped, err)
	}
	want := request{Operation: "TrentService.GenerateDataKey", KeyId: arn, KeySpec: "AES_256", EncryptionContext: where}
	if diff := cmp.Diff(want, *made); diff != "" {
		t.Error(diff)
	}
	plain, err = keys.Unwrap(t.Context(), []byte("wrapped"), place)
	if err != nil || string(plain) != "plain" {
		t.Fatalf("%q, %v", plain, err)
	}
	want = request{Operation: "TrentService.Decrypt", KeyId: arn, CiphertextBlob: []byte("wrapped"), EncryptionContext: where}
	if diff := cmp.Diff(want, *made); diff != "" {
		t.Error(diff)
	}
}

// What the operator can mend must not look as if the secret were lost.
func TestWhichErrorsMeanThatNothingEverOpens(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code   string
		status int
		broken bool
	}{
		{"InvalidCiphertextException", 400, true},
		{"IncorrectKeyException", 400, false},
		{"AccessDeniedException", 400, false},
		{"DisabledException", 400, false},
		{"KMSInvalidStateException", 400, false},
		{"NotFoundException", 400, false},
		{"ThrottlingException", 400, false},
		{"KeyUnavailableException", 500, false},
		{"DependencyTimeoutException", 503, false},
		{"KMSInternalException", 500, false},
	} {
		t.Run(tc.code, func(t *testing.T) {
			t.Parallel()
			keys, _ := answering(t, tc.status, `{"__type":"`+tc.code+`","message":"said KMS"}`)
			_, err := keys.Unwrap(t.Context(), []byte("wrapped"), place)
			if err == nil || errors.Is(err, seal.ErrBroken) != tc.broken || !strings.Contains(err.Error(), tc.code) {
				t.Errorf("got error %v, broken: %t", err, errors.Is(err, seal.ErrBroken))
			}
			if _, _, err := keys.NewDataKey(t.Context(), place); err == nil || errors.Is(err, seal.ErrBroken) {
				t.Errorf("new data key: got error %v", err)
			}
		})
	}
}
