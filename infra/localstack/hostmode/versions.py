"""Makes a new version of a function when a version's description changes, and leads its alias there.

On AWS a version is replaced then, and an alias updated. LocalStack knows no updates of either, and would replace an alias
whose function changes, which cannot be: the new one has the old one's name. It has no CodeDeploy, so an alias is led to
the new version at once.
"""

from typing import Any

from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent, ResourceRequest
from localstack.services.lambda_.resource_providers.aws_lambda_version import LambdaVersionProvider
from localstack.services.lambda_.resource_providers.lambda_alias import LambdaAliasProvider


def install() -> None:
    LambdaVersionProvider.SCHEMA["createOnlyProperties"] += ["/properties/Description", "/properties/CodeSha256"]
    LambdaAliasProvider.SCHEMA["createOnlyProperties"] = []

    def update(_: LambdaAliasProvider, request: ResourceRequest[Any]) -> ProgressEvent[Any]:
        alias = {**request.previous_state, **request.desired_state}
        request.aws_client_factory.lambda_.update_alias(
            FunctionName=alias["FunctionName"], Name=alias["Name"], FunctionVersion=alias["FunctionVersion"]
        )
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=alias)

    LambdaAliasProvider.update = update  # type: ignore[method-assign]
