package permissions_test

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webhookrelay/infra/permissions"
)

const template = `
Resources:
  IngestFunction:
    Type: AWS::Serverless::Function
    Properties: {Role: !GetAtt IngestRole.Arn}
  IngestRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Statement:
              - Effect: Allow
                Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem]
                Resource: !GetAtt Table.Arn
              - Effect: Allow
                Action: dynamodb:Query
                Resource: [!GetAtt Table.Arn, !Sub '${Table.Arn}/index/failed']
              - Effect: Allow
                Action: kms:Decrypt
                Resource: !If [MakeKey, !GetAtt Key.Arn, !Ref KeyArn]
              - Effect: Allow
                Action: [sqs:SendMessage]
                Resource: !GetAtt DeliveryQueue.Arn
`

var names = permissions.Names{"relay-table": "Table", "http://sqs/queue": "DeliveryQueue", "arn:dead": "DeadLetterQueue"}

// used is a run in which every grant of the template is used.
func used(t *testing.T) []permissions.Use {
	t.Helper()
	var all []permissions.Use
	for _, call := range [][2]string{
		{"DynamoDB_20120810.GetItem", `{"TableName":"relay-table","Key":{}}`},
		{"DynamoDB_20120810.Query", `{"TableName":"relay-table"}`},
		{"DynamoDB_20120810.Query", `{"TableName":"relay-table","IndexName":"failed"}`},
		{"DynamoDB_20120810.TransactWriteItems", `{"TransactItems":[{"Update":{"TableName":"relay-table"}},{"Put":{"TableName":"relay-table"}}]}`},
		{"TrentService.Decrypt", `{"CiphertextBlob":"AA==","EncryptionContext":{}}`},
		{"AmazonSQS.SendMessageBatch", `{"QueueUrl":"http://sqs/queue","Entries":[]}`},
	} {
		uses, err := permissions.Uses(call[0], []byte(call[1]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, uses...)
	}
	return all
}

func TestCompare(t *testing.T) {
	t.Parallel()
	grants, err := permissions.Grants([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	compare := func(uses []permissions.Use, spare ...permissions.Spare) []string {
		return permissions.Compare(grants, map[string][]permissions.Use{"IngestFunction": uses}, names, spare)
	}
	for rule, tc := range map[string]struct {
		got, want []string
	}{
		"WhatIsAllowedAndUsedIsWell": {compare(used(t)), nil},
		"ACallThatNoStatementAllowsIsNamed": {
			compare(append(used(t), permissions.Use{Action: "dynamodb:DeleteItem", Resource: "relay-table"})),
			[]string{"IngestFunction calls dynamodb:DeleteItem on Table, which its role does not allow"},
		},
		"AnIndexIsAResourceOfItsOwn": {
			compare(append(used(t), permissions.Use{Action: "dynamodb:Query", Resource: "relay-table/index/held"})),
			[]string{"IngestFunction calls dynamodb:Query on Table/index/held, which its role does not allow"},
		},
		"AnotherQueueIsAnotherResource": {
			compare(append(used(t), permissions.Use{Action: "sqs:SendMessage", Resource: "arn:dead"})),
			[]string{"IngestFunction calls sqs:SendMessage on DeadLetterQueue, which its role does not allow"},
		},
		"WhatIsNeverUsedIsNamed": {
			compare(slices.DeleteFunc(used(t), func(u permissions.Use) bool { return u.Action == "sqs:SendMessage" })),
			[]string{"IngestFunction may call sqs:SendMessage on DeliveryQueue, and never did"},
		},
		"UnlessThereIsAReason": {
			compare(slices.DeleteFunc(used(t), func(u permissions.Use) bool { return u.Action == "sqs:SendMessage" }),
				permissions.Spare{Function: "IngestFunction", Action: "sqs:SendMessage", Why: "seldom"}),
			nil,
		},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheTemplatesRolesCanBeRead(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	grants, err := permissions.Grants(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := permissions.Grant{Action: "sqs:SendMessage", Resource: "DeliveryQueue"}
	if len(grants) != 5 || !slices.Contains(grants["IngestFunction"], want) {
		t.Errorf("%v", grants)
	}
	for function, all := range grants {
		for _, g := range all {
			if g.Resource == "" || g.Resource == "*" || g.Action == "*" {
				t.Errorf("%s may %s on %q", function, g.Action, g.Resource)
			}
		}
	}
}
