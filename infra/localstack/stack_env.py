"""Prints what the end-to-end tests need to know about a stack in LocalStack, as lines of NAME=value."""

import os
import shlex
import sys

import boto3


def main(stack_name: str, endpoint_file: str) -> None:
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    stack = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    values = {
        # The host name of ApiUrl needs DNS; LocalStack serves the same stage under this path.
        "RELAY_E2E_URL": f"{endpoint}/_aws/execute-api/{outputs['ApiId']}/relay",
        "RELAY_E2E_KEY": os.environ["RELAY_ADMIN_KEY"],
        "RELAY_E2E_TABLE": outputs["TableName"],
        "RELAY_E2E_QUEUE_URL": outputs["QueueUrl"],
        "RELAY_E2E_DLQ_URL": outputs["DeadLetterQueueUrl"],
        "RELAY_E2E_DLQ_ARN": outputs["DeadLetterQueueArn"],
        "RELAY_E2E_SOURCE_QUEUE_URL": outputs["SourceQueueUrl"],
        "RELAY_E2E_SOURCE_QUEUE_ARN": outputs["SourceQueueArn"],
        "RELAY_E2E_SOURCE_DLQ_URL": outputs["SourceDeadLetterQueueUrl"],
        "RELAY_E2E_STACK": stack_name,
        "RELAY_E2E_PARAMETERS": os.environ.get("RELAY_PARAMETERS", ""),
        "RELAY_E2E_ENDPOINT_FILE": endpoint_file,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": os.environ["AWS_DEFAULT_REGION"],
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    for name, value in values.items():
        print(f"{name}={shlex.quote(value)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
