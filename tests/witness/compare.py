"""Holds the same conversation with moto and with the sandbox, and compares what they answer.

Usage: compare.py SANDBOX_URL MOTO_URL [DIFFERENCES_TOML]
Prints a JSON object: "calls", "differences" (those that the file does not list), "stale" (entries of the file that no
longer occur). With a fourth argument `--all`, listed differences are printed too.

Identifiers are renamed in the order in which they appear; times, addresses, keys, accounts are masked; absent and empty
are the same. An entry of the file is a table `[[difference]]` with `operation` and `field`, both patterns in the manner
of file names (`ec2.describe_*`, `Vpcs[].*`), and `why`: why ours is nearer to AWS. `field` is the path in the answer, or
`error` where one of the two refuses or both refuse differently; then `moto` and `ours` hold the codes, `-` for none.
"""

import datetime
import fnmatch
import json
import re
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor

import conversation
from tape import Tape

ID = re.compile(
    r"\b((?:vpc|subnet|rtb|rtbassoc|igw|eigw|nat|eni|eni-attach|i|r|sg|sgr|acl|aclassoc|eipalloc|eipassoc|vpce|ami|snap"
    r"|vol|key|lt|dopt|pl|pcx|fl|iip-assoc|vpc-cidr-assoc|subnet-cidr-assoc))-([0-9a-f]{17}|[0-9a-f]{8})\b"
)
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
UNIQUE = re.compile(r"\b(AROA|AIPA|ANPA|AIDA|ASIA|AKIA)[A-Z0-9]{12,}\b")
# An address by itself; a range is what was asked for.
ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d./])")
DASHED = re.compile(r"\b(ip|ec2)-\d+-\d+-\d+-\d+\b")
MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
ACCOUNT = re.compile(r"\b\d{12}\b")
MASKED_KEYS = {"KeyFingerprint", "KeyMaterial", "PublicKey", "SecretAccessKey", "SessionToken", "AccessKeyId", "UserId"}
MASKED_KEYS |= {"OwnerId", "NextToken", "Marker", "ClientToken", "CertificateBody", "Hash", "VpcEndpointOwner"}


class Names:
    """New names for identifiers, one for each, in the order of their appearance."""

    def __init__(self):
        self.known = {}
        self.counts = {}

    def of(self, kind, identifier):
        if identifier.startswith("0123456789abcdef") or identifier.endswith("0123456789abcdef0"):
            return f"<no {kind}>"
        if (kind, identifier) not in self.known:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self.known[kind, identifier] = f"<{kind} {self.counts[kind]}>"
        return self.known[kind, identifier]

    def text(self, text):
        text = ID.sub(lambda found: self.of(found[1], found[2]), text)
        text = UUID.sub("<uuid>", text)
        text = UNIQUE.sub(lambda found: f"<{found[1]}>", text)
        text = DASHED.sub("<host>", text)
        text = MAC.sub("<mac>", text)
        text = ADDRESS.sub("<address>", text)
        return ACCOUNT.sub("<account>", text)

    def value(self, value, key=""):
        if isinstance(value, dict):
            named = {inner: self.value(one, inner) for inner, one in value.items()}
            return {inner: one for inner, one in named.items() if one not in (None, "", [], {})}
        if isinstance(value, list):
            return [self.value(one, key) for one in value]
        if isinstance(value, datetime.datetime):
            return "<time>"
        if isinstance(value, str):
            return f"<{key}>" if key in MASKED_KEYS else self.text(value)
        return value


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    else:
        yield path, json.dumps(value)


def paired(ours, theirs):
    """Entries of two lists that are most alike, and what is left over."""
    pairs, left = [], list(theirs)
    for mine in ours:
        mine_leaves = set(leaves(mine)) if isinstance(mine, (dict, list)) else {("", json.dumps(mine))}

        def alike(other):
            other_leaves = set(leaves(other)) if isinstance(other, (dict, list)) else {("", json.dumps(other))}
            return len(mine_leaves & other_leaves)

        best = max(left, key=alike, default=None)
        if best is not None and (alike(best) or len(ours) == len(theirs) == 1):
            left.remove(best)
            pairs.append((mine, best))
        else:
            pairs.append((mine, None))
    return pairs + [(None, other) for other in left]


def compare(ours, theirs, path=""):
    """Yields (path, ours, theirs) wherever they differ; None is absent."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in list(ours) + [key for key in theirs if key not in ours]:
            yield from compare(ours.get(key), theirs.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(ours, list) and isinstance(theirs, list):
        for mine, other in paired(ours, theirs):
            yield from compare(mine, other, f"{path}[]")
    elif ours != theirs:
        yield path, ours, theirs


def answers(endpoint):
    tape = Tape(endpoint)
    conversation.talk(tape)
    names = Names()
    return [(label, names.value(answer)) for label, answer in tape.entries]


def differences(ours, theirs):
    theirs = dict(theirs)
    for label, mine in ours:
        operation = label.split("#")[0]
        if label not in theirs:
            yield dict(operation=operation, label=label, field="call", ours="made", moto="not made")
            continue
        other = theirs[label]
        if ("Error" in mine) != ("Error" in other) or mine.get("Error") != other.get("Error"):
            yield dict(
                operation=operation,
                label=label,
                field="error",
                ours=mine.get("Error", "-"),
                moto=other.get("Error", "-"),
            )
            continue
        for path, one, two in compare(mine, other):
            yield dict(operation=operation, label=label, field=path, ours=one, moto=two)


def listed(entry, difference):
    def fits(pattern, text):
        # Brackets stand for themselves here.
        return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))

    if not fits(entry["operation"], difference["operation"]) or not fits(entry["field"], difference["field"]):
        return False
    if entry["field"] == "error":
        return (entry["moto"], entry["ours"]) == (difference["moto"], difference["ours"])
    return True


def main(sandbox, moto, file=None, every=None):
    with ThreadPoolExecutor() as pool:
        ours, theirs = pool.map(answers, [sandbox, moto])
    entries = []
    if file:
        with open(file, "rb") as opened:
            entries = tomllib.load(opened)["difference"]
    used, unlisted = set(), []
    for difference in differences(ours, theirs):
        matching = [number for number, entry in enumerate(entries) if listed(entry, difference)]
        used.update(matching)
        if every or not matching:
            unlisted.append(difference)
    stale = [entry for number, entry in enumerate(entries) if number not in used]
    json.dump({"calls": len(ours), "differences": unlisted, "stale": stale}, sys.stdout, indent=1, default=str)


if __name__ == "__main__":
    main(*sys.argv[1:])
