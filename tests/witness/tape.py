"""Calls with boto3 that are recorded as they are made, against whatever answers at an endpoint."""

import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

REGION = "eu-central-1"
ZONE = "eu-central-1b"
SERVICES = ("ec2", "iam", "ssm", "sts")


def clients(endpoint):
    """One client of each service. They do not retry, so that what is seen is what was answered."""
    session = boto3.Session(
        aws_access_key_id="AKIASANDBOX000000000", aws_secret_access_key="secret", region_name=REGION
    )
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60, parameter_validation=True)
    return {name: session.client(name, endpoint_url=endpoint, config=config) for name in SERVICES}


class Tape:
    """Makes calls and remembers them: `entries` are (label, what was answered), an error as {"Error": code}."""

    def __init__(self, endpoint, listeners=()):
        self.clients = clients(endpoint)
        self.entries = []
        self.counts = {}
        for client in self.clients.values():
            for event, listener in listeners:
                client.meta.events.register(event, listener)

    def call(self, name, quiet=False, **parameters):
        """`ec2.describe_vpcs`. Gives the answer; an error is an answer too, with nothing but `Error`."""
        service, method = name.split(".")
        try:
            answer = getattr(self.clients[service], method)(**parameters)
        except ClientError as error:
            answer = {"Error": error.response["Error"].get("Code", "")}
        except ResponseParserError:
            answer = {"Error": "no answer of AWS's form"}
        answer.pop("ResponseMetadata", None)
        if not quiet:
            self.counts[name] = self.counts.get(name, 0) + 1
            self.entries.append((f"{name}#{self.counts[name]}", answer))
        return answer

    def made(self, name, **parameters):
        """A call that must succeed."""
        answer = self.call(name, **parameters)
        if set(answer) == {"Error"}:
            raise AssertionError(f"{name} {parameters}: {answer['Error']}")
        return answer

    def until(self, name, done, patience_s=20, **parameters):
        """Repeats a read, unrecorded, until `done(answer)` or an error. Gives the last answer either way."""
        end = time.monotonic() + patience_s
        while True:
            answer = self.call(name, quiet=True, **parameters)
            if set(answer) == {"Error"} or done(answer) or time.monotonic() > end:
                return answer
            time.sleep(0.05)
