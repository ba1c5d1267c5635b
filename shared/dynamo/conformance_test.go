package dynamo_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"webhookrelay/shared/dynamo"
	"webhookrelay/shared/id"
	"webhookrelay/shared/storetest"
)

func TestConformance(t *testing.T) {
	client, table := emulator(t)
	storetest.Store(t, func(_ *testing.T, now func() time.Time) storetest.StoreUnderTest {
		return dynamo.New(client, table, now)
	})
}

func TestNoSecretIsStored(t *testing.T) {
	client, table := emulator(t)
	storetest.NoSecretIsStored(t, dynamo.New(client, table, time.Now), func() []byte { return scan(t, client, table) })
}

// scan returns the names and values of all attributes of all rows.
func scan(t *testing.T, client *dynamodb.Client, table string) (all []byte) {
	t.Helper()
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Items {
			all = appendValue(all, &types.AttributeValueMemberM{Value: row})
		}
	}
	return all
}

func appendValue(all []byte, value types.AttributeValue) []byte {
	switch v := value.(type) {
	case *types.AttributeValueMemberM:
		for name, member := range v.Value {
			all = appendValue(append(append(all, '\n'), name...), member)
		}
	case *types.AttributeValueMemberL:
		for _, element := range v.Value {
			all = appendValue(all, element)
		}
	case *types.AttributeValueMemberB:
		// A payload may lie there deflated; secrets are none.
		all = append(append(all, '\n'), v.Value...)
	case *types.AttributeValueMemberS:
		all = append(append(all, '\n'), v.Value...)
	case *types.AttributeValueMemberN:
		all = append(append(all, '\n'), v.Value...)
	}
	return all
}

var (
	tableOnce sync.Once
	tableErr  error
	tableName = "test-" + id.NewSource().ULID(time.Now())
)

// emulator returns a client of the emulator (or account) that
// RELAY_TEST_AWS_ENDPOINT names, and a table made there for this test process.
func emulator(t *testing.T) (*dynamodb.Client, string) {
	t.Helper()
	endpoint := os.Getenv("RELAY_TEST_AWS_ENDPOINT")
	if endpoint == "" {
		if os.Getenv("RELAY_TEST_REQUIRED") == "1" {
			t.Fatal("RELAY_TEST_AWS_ENDPOINT is not set, and RELAY_TEST_REQUIRED=1 demands it")
		}
		t.Skip("RELAY_TEST_AWS_ENDPOINT is not set")
	}
	client := newClient(endpoint)
	tableOnce.Do(func() { tableErr = createTable(client) })
	if tableErr != nil {
		t.Fatalf("create table: %v", tableErr)
	}
	return client, tableName
}

func newClient(endpoint string) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

func createTable(client *dynamodb.Client) error {
	if _, err := client.CreateTable(context.Background(), dynamo.TableSchema.CreateTable(tableName)); err != nil {
		return err
	}
	return dynamodb.NewTableExistsWaiter(client).Wait(context.Background(),
		&dynamodb.DescribeTableInput{TableName: aws.String(tableName)}, time.Minute)
}

func TestMain(m *testing.M) {
	code := m.Run()
	if endpoint := os.Getenv("RELAY_TEST_AWS_ENDPOINT"); endpoint != "" {
		// Nothing to delete if no test came to create it.
		_, _ = newClient(endpoint).DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(tableName)})
	}
	os.Exit(code)
}
