"""Runs DynamoDB Local from the jars in .cache, where LocalStack would download an archive and its own Java."""

from pathlib import Path

from localstack.services.dynamodb import server

from hostmode.spawn import dying_with_parent


class _AlreadyInstalled:
    """Stands in for LocalStack's installer of DynamoDB Local."""

    def install(self) -> None:
        pass

    def get_java_env_vars(self) -> dict[str, str]:
        return {}


def install(jar_folder: Path) -> None:
    def command(self: server.DynamodbServer) -> list[str]:
        return dying_with_parent(
            [
                "java",
                f"-Xmx{self.heap_size}",
                "-cp",
                f"{jar_folder}/*",
                f"-Djava.library.path={jar_folder}",
                "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
                "-port",
                str(self.port),
                "-inMemory",
                "-disableTelemetry",
            ]
        )

    server.dynamodblocal_package.get_installer = lambda *_: _AlreadyInstalled()  # type: ignore[assignment]
    server.DynamodbServer._create_shell_command = command  # type: ignore[method-assign]
