package permissions

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Use is one permission that a call needs: an IAM action on a resource, which is
// named as the caller does: a table, a table's index as "table/index/name", a
// queue's URL or ARN, a key.
type Use struct {
	Action   string
	Resource string
}

// needs lists what an operation of an AWS API needs, where it is not the action
// of the same name on the resource that the request names.
var needs = map[string][]string{
	"dynamodb:BatchGetItem":               {"dynamodb:BatchGetItem"},
	"dynamodb:BatchWriteItem":             {"dynamodb:BatchWriteItem"},
	"sqs:SendMessageBatch":                {"sqs:SendMessage"},
	"sqs:ChangeMessageVisibilityBatch":    {"sqs:ChangeMessageVisibility"},
	"sqs:DeleteMessageBatch":              {"sqs:DeleteMessage"},
	"sqs:StartMessageMoveTask":            {"sqs:StartMessageMoveTask", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
	"kms:GenerateDataKeyWithoutPlaintext": {"kms:GenerateDataKeyWithoutPlaintext"},
}

// services maps what an X-Amz-Target begins with to the prefix of its actions.
var services = map[string]string{"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "TrentService": "kms"}

// body is what requests say of the resources they concern.
type body struct {
	TableName     string
	IndexName     string
	RequestItems  map[string]json.RawMessage
	TransactItems []map[string]struct{ TableName string }
	QueueURL      string `json:"QueueUrl"`
	SourceArn     string
	KeyID         string `json:"KeyId"`
}

// Uses returns what a call in an AWS JSON protocol needs, by its X-Amz-Target
// header and its body.
func Uses(target string, raw []byte) ([]Use, error) {
	prefix, operation, _ := strings.Cut(target, ".")
	service, known := services[prefix]
	if !known {
		return nil, fmt.Errorf("a call to %q, which is no service of the relay", target)
	}
	var b body
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("body of %s: %w", target, err)
	}
	if operation == "TransactWriteItems" {
		return transaction(b), nil
	}
	action := service + ":" + operation
	actions := needs[action]
	if actions == nil {
		actions = []string{action}
	}
	var uses []Use
	for _, a := range actions {
		for _, resource := range b.resources() {
			uses = append(uses, Use{a, resource})
		}
	}
	return uses, nil
}

// transaction: each part needs its own action; TransactWriteItems is none (DynamoDB
// Developer Guide, "Amazon DynamoDB Transactions: How it works").
func transaction(b body) (uses []Use) {
	for _, item := range b.TransactItems {
		for part, of := range item {
			action := part + "Item"
			if part == "ConditionCheck" {
				action = "ConditionCheckItem"
			}
			uses = append(uses, Use{"dynamodb:" + action, of.TableName})
		}
	}
	return uses
}

func (b body) resources() []string {
	switch {
	case b.IndexName != "":
		return []string{b.TableName + "/index/" + b.IndexName}
	case b.TableName != "":
		return []string{b.TableName}
	case len(b.RequestItems) > 0:
		var tables []string
		for table := range b.RequestItems {
			tables = append(tables, table)
		}
		return tables
	case b.QueueURL != "":
		return []string{b.QueueURL}
	case b.SourceArn != "":
		return []string{b.SourceArn}
	}
	return []string{b.KeyID} // a decryption may leave the key to the ciphertext
}
