"""Asks the sandbox everything it answers and checks each raw answer against botocore's service model (model.py).

Usage: wire_truth.py ENDPOINT_URL [MODULE...]  ->  one JSON object on standard output:
  "checked": {"ec2": {"DescribeVpcs": [answers, of them errors]}, ...}, "problems": {"ec2:DescribeVpcs ...": count}
"""

import importlib
import json
import sys

import model
from tape import Tape

TALKS = ("conversation", "breadth_ec2", "breadth_ec2_more", "breadth_iam", "breadth_ssm")


def main(endpoint, talks):
    checked, found = {}, {}

    def listen(operation_model, response_dict, **_):
        problems, code = model.problems(
            operation_model, response_dict["status_code"], response_dict["headers"], response_dict["body"]
        )
        service = operation_model.service_model.endpoint_prefix
        counts = checked.setdefault(service, {}).setdefault(operation_model.name, [0, 0])
        counts[0] += 1
        counts[1] += code is not None
        for problem in problems:
            text = f"{service}:{operation_model.name} {problem}"
            found[text] = found.get(text, 0) + 1

    tape = Tape(endpoint, [("before-parse.*.*", listen)])
    for talk in talks:
        try:
            importlib.import_module(talk).talk(tape)
        except Exception as error:  # a scenario that cannot go on is a finding like any other
            import traceback

            where = traceback.extract_tb(error.__traceback__)[-1]
            found[f"{talk} stopped at line {where.lineno} ({where.line}): {type(error).__name__}: {error}"] = 1
    json.dump({"checked": checked, "problems": found}, sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or TALKS)
