"""LocalStack on a plain host: Lambda functions run as processes, DynamoDB Local from Maven's jars, no Docker."""
