"""Checks an HTTP answer against botocore's service model, member by member, without botocore's forgiving parser.

`Checker.problems(operation_model, status, headers, body)` gives a list of texts; an empty list means that the answer is
what the model describes: every element known and where it belongs, lists and maps wrapped as the model says, required
members there, every value in its lexical form, enumerations within their values, errors in their service's envelope
with a code that the operation has and the status that goes with it.
"""

import base64
import json
import re
import xml.etree.ElementTree as ET

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
INTEGER = re.compile(r"-?\d+")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# What every operation may answer, and models leave out. The status where AWS's "Common errors" pages name one.
COMMON = {
    "query": {
        "AccessDenied": 403,
        "InvalidAction": 400,
        "InvalidClientTokenId": 403,
        "MalformedInput": 400,
        "MissingAction": 400,
        "MissingParameter": 400,
        "Throttling": 400,
        "ValidationError": 400,
    },
    "json": {
        "AccessDeniedException": 400,
        "SerializationException": 400,
        "ThrottlingException": 400,
        "UnknownOperationException": 400,
        "ValidationException": 400,
    },
}


# Where AWS itself does not keep to the model, as its documentation's examples and its clients' code show: the end of the
# path, and the value that AWS sends.
BESIDE_THE_MODEL = {
    # Of a gateway attached to a VPC the state is "available", since VPCs exist (EC2's API reference says so).
    ("InternetGateways[].Attachments[].State", "available"),
    # VPC endpoints: the model has PascalCase, the wire has had lower case from the first day.
    ("VpcEndpoint.State", "available"),
    ("VpcEndpoint.State", "pending"),
    ("VpcEndpoints[].State", "available"),
    ("VpcEndpoints[].State", "pending"),
    ("VpcEndpoints[].State", "deleting"),
    ("VpcEndpoints[].State", "deleted"),
    # The API reference: "This data type can only have a value of Policy."
    ("PermissionsBoundary.PermissionsBoundaryType", "Policy"),
    # A command without notifications has an empty one (the aws CLI's reference shows it).
    ("NotificationConfig.NotificationType", ""),
}
# The model gives one pattern to three members that it does not fit: one is a duration, the two others have
# milliseconds, and all are empty before the command has begun (SSM's API reference, GetCommandInvocation).
INSTEAD_OF_THE_PATTERN = {
    "ExecutionStartDateTime": re.compile(f"({ISO.pattern})?"),
    "ExecutionEndDateTime": re.compile(f"({ISO.pattern})?"),
    "ExecutionElapsedTime": re.compile(r"(PT\d+(\.\d+)?S)?"),
}


def local(tag):
    return tag.rpartition("}")[2]


class Checker:
    """Problems found so far in one answer."""

    def __init__(self):
        self.found = []

    def say(self, where, what):
        self.found.append(f"{where}: {what}")

    # ---- XML -------------------------------------------------------------------------------------------------

    def xml_structure(self, where, shape, element, beside=()):
        by_element = {}
        for name, member in shape.members.items():
            serialized = member.serialization
            if member.type_name == "list" and serialized.get("flattened"):
                element_name = serialized.get("name") or member.member.serialization.get("name") or name
            else:
                element_name = serialized.get("name", name)
            by_element[element_name] = (name, member)
        if (element.text or "").strip() and len(element) == 0 and by_element:
            self.say(where, f"text {element.text!r} where a structure belongs")
        seen = {}
        for child in element:
            seen.setdefault(local(child.tag), []).append(child)
        for tag, children in seen.items():
            if tag in beside:
                continue
            if tag == "return" and beside and [child.text for child in children] == ["true"]:
                continue  # EC2 says it in many answers, and the model in few
            if tag not in by_element:
                self.say(where, f"<{tag}> is not in the model")
                continue
            name, member = by_element[tag]
            if member.type_name == "list" and member.serialization.get("flattened"):
                for child in children:
                    self.xml_value(f"{where}.{name}[]", member.member, child)
            elif len(children) > 1:
                self.say(where, f"<{tag}> comes {len(children)} times")
            else:
                self.xml_value(f"{where}.{name}", member, children[0])
        present = {by_element[tag][0] for tag in seen if tag in by_element}
        for required in shape.required_members:
            if required not in present:
                self.say(where, f"{required} is required and missing")

    def xml_value(self, where, shape, element):
        kind = shape.type_name
        if kind == "structure":
            self.xml_structure(where, shape, element)
        elif kind == "list":
            entry = shape.member.serialization.get("name", "member")
            for child in element:
                if local(child.tag) != entry:
                    self.say(where, f"<{local(child.tag)}> in a list of <{entry}>")
                else:
                    self.xml_value(f"{where}[]", shape.member, child)
            if (element.text or "").strip():
                self.say(where, "text in a list")
        elif kind == "map":
            for entry in element:
                tags = [local(child.tag) for child in entry]
                if local(entry.tag) != "entry" or sorted(tags) != ["key", "value"]:
                    self.say(where, f"<{local(entry.tag)}> with {tags} in a map")
        else:
            if len(element):
                self.say(where, f"elements {[local(c.tag) for c in element]} where {kind} belongs")
            self.scalar(where, shape, element.text or "")

    def scalar(self, where, shape, text):
        """A value as text, by the rules of the XML protocols."""
        kind = shape.type_name
        if kind == "string":
            self.string(where, shape, text)
        elif kind == "boolean":
            if text not in ("true", "false"):
                self.say(where, f"{text!r} is not a boolean")
        elif kind in ("integer", "long"):
            if not INTEGER.fullmatch(text):
                self.say(where, f"{text!r} is not an integer")
        elif kind in ("float", "double"):
            if not NUMBER.fullmatch(text):
                self.say(where, f"{text!r} is not a number")
        elif kind == "timestamp":
            if not ISO.fullmatch(text):
                self.say(where, f"{text!r} is not a time")
        elif kind == "blob":
            try:
                base64.b64decode(text, validate=True)
            except ValueError:
                self.say(where, "not base64")
        else:
            self.say(where, f"this checker does not know {kind}")

    def string(self, where, shape, text):
        values = shape.enum
        beside = any(where.endswith(path) and text == sent for path, sent in BESIDE_THE_MODEL)
        if values and text not in values and not beside:
            self.say(where, f"{text!r} is none of {values}")
        rules = shape.metadata
        instead = INSTEAD_OF_THE_PATTERN.get(where.rpartition(".")[2])
        if instead:
            if not instead.fullmatch(text):
                self.say(where, f"{text!r} does not match {instead.pattern}")
        elif "pattern" in rules:
            # Java's \p{..} classes, of which the models use a few.
            pattern = rules["pattern"].replace("\\p{Graph}", "!-~").replace("\\p{Print}", " -~")
            try:
                if not re.search(f"^(?:{pattern})$", text, re.DOTALL):
                    self.say(where, f"{text!r} does not match {pattern}")
            except re.error:
                pass
        if len(text) > rules.get("max", len(text)):
            self.say(where, f"{len(text)} characters, at most {rules['max']}")

    # ---- JSON ------------------------------------------------------------------------------------------------

    def json_value(self, where, shape, value):
        kind = shape.type_name
        if kind == "structure":
            if not isinstance(value, dict):
                return self.say(where, f"{value!r} where a structure belongs")
            members = {m.serialization.get("name", n): (n, m) for n, m in shape.members.items()}
            for key, inner in value.items():
                if key not in members:
                    self.say(where, f"{key} is not in the model")
                elif inner is None:
                    self.say(where, f"{key} is null")
                else:
                    self.json_value(f"{where}.{key}", members[key][1], inner)
            for required in shape.required_members:
                if required not in value:
                    self.say(where, f"{required} is required and missing")
        elif kind == "list":
            if not isinstance(value, list):
                return self.say(where, f"{value!r} where a list belongs")
            for inner in value:
                self.json_value(f"{where}[]", shape.member, inner)
        elif kind == "map":
            if not isinstance(value, dict):
                return self.say(where, f"{value!r} where a map belongs")
            for key, inner in value.items():
                self.json_value(f"{where}{{{key}}}", shape.value, inner)
        elif kind == "boolean":
            if not isinstance(value, bool):
                self.say(where, f"{value!r} is not a boolean")
        elif kind in ("integer", "long"):
            if not isinstance(value, int) or isinstance(value, bool):
                self.say(where, f"{value!r} is not an integer")
        elif kind in ("float", "double", "timestamp"):
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                self.say(where, f"{value!r} is not a {kind} in seconds")
        elif kind == "string":
            if not isinstance(value, str):
                self.say(where, f"{value!r} is not a string")
            else:
                self.string(where, shape, value)
        else:
            self.say(where, f"this checker does not know {kind}")

    # ---- envelopes -------------------------------------------------------------------------------------------

    def request_id(self, where, text):
        if not REQUEST_ID.fullmatch(text or ""):
            self.say(where, f"{text!r} is not a request ID")

    def parsed(self, body):
        try:
            return ET.fromstring(body)
        except ET.ParseError as error:
            self.say("body", f"not XML: {error}")
            return None

    def namespace(self, root, wanted):
        namespace = root.tag.rpartition("}")[0].lstrip("{")
        if namespace.rstrip("/") != wanted.rstrip("/"):
            self.say("envelope", f"namespace {namespace!r}, the model's is {wanted!r}")

    def success(self, operation, status, headers, body):
        metadata = operation.service_model.metadata
        protocol, output = metadata["protocol"], operation.output_shape
        if status != 200:
            self.say("envelope", f"status {status}")
        self.request_id("header x-amzn-requestid", headers.get("x-amzn-requestid"))
        if protocol == "json":
            self.content_type(headers, f"application/x-amz-json-{metadata['jsonVersion']}")
            try:
                value = json.loads(body)
            except ValueError as error:
                return self.say("body", f"not JSON: {error}")
            if output is not None:
                self.json_value(operation.name, output, value)
            elif value != {}:
                self.say(operation.name, "a body where there is no output")
            return None
        self.content_type(headers, "text/xml")
        root = self.parsed(body)
        if root is None:
            return None
        if local(root.tag) != f"{operation.name}Response":
            self.say("envelope", f"<{local(root.tag)}>")
        self.namespace(root, metadata["xmlNamespace"])
        children = {local(child.tag): child for child in root}
        if protocol == "ec2":
            id_element = children.get("requestId")
            self.request_id("requestId", id_element.text if id_element is not None else None)
            if output is not None:
                return self.xml_structure(operation.name, output, root, beside=("requestId",))
            # Operations without an output answer with a bare <return>true</return>.
            for tag, child in children.items():
                if tag != "requestId" and (tag, child.text) != ("return", "true"):
                    self.say(operation.name, f"<{tag}> where there is no output")
            return None
        id_element = root.find("./{*}ResponseMetadata/{*}RequestId")
        self.request_id("RequestId", id_element.text if id_element is not None else None)
        expected = {"ResponseMetadata"}
        if output is not None:
            wrapper = output.serialization.get("resultWrapper")
            expected.add(wrapper)
            if wrapper in children:
                self.xml_structure(operation.name, output, children[wrapper])
            else:
                self.say("envelope", f"<{wrapper}> is missing")
        for tag in children.keys() - expected:
            self.say("envelope", f"<{tag}> is not expected")
        return None

    def content_type(self, headers, wanted):
        given = headers.get("content-type", "").split(";")[0]
        if given != wanted:
            self.say("envelope", f"content type {given!r}, not {wanted!r}")

    def error(self, operation, status, headers, body):
        """An error answer. Gives its code, or None."""
        metadata = operation.service_model.metadata
        protocol = metadata["protocol"]
        self.request_id("header x-amzn-requestid", headers.get("x-amzn-requestid"))
        modelled = {shape.error_code if protocol == "query" else shape.name: shape for shape in operation.error_shapes}
        if protocol == "json":
            self.content_type(headers, f"application/x-amz-json-{metadata['jsonVersion']}")
            value = json.loads(body)
            code = value.pop("__type", None)
            if code in modelled:
                self.json_value(code, modelled[code], value)
            elif any(key not in ("message", "Message") for key in value):
                self.say(code, f"unknown members {sorted(value)}")
            self.code(code, status, modelled, COMMON["json"], 400)
            return code
        self.content_type(headers, "text/xml")
        root = self.parsed(body)
        if root is None:
            return None
        if protocol == "ec2":
            shape = [(local(c.tag), [(local(e.tag), [local(f.tag) for f in e]) for e in c]) for c in root]
            wanted = [("Errors", [("Error", ["Code", "Message"])]), ("RequestID", [])]
            if local(root.tag) != "Response" or shape != wanted:
                self.say("envelope", f"{local(root.tag)} {shape}")
            code = root.findtext("./{*}Errors/{*}Error/{*}Code")
            self.request_id("RequestID", root.findtext("./{*}RequestID"))
            if not root.findtext("./{*}Errors/{*}Error/{*}Message"):
                self.say(code, "an error without a message")
            if not (400 <= status < 600):
                self.say(code, f"status {status}")
            # EC2 models no errors; these two have a status of their own.
            wanted = {"DryRunOperation": 412, "UnauthorizedOperation": 403}.get(code, 400)
            if status != wanted and status < 500:
                self.say(code, f"status {status}, not {wanted}")
            return code
        if local(root.tag) != "ErrorResponse":
            self.say("envelope", f"<{local(root.tag)}>")
        self.namespace(root, metadata["xmlNamespace"])
        if root.findtext("./{*}Error/{*}Type") != ("Sender" if status < 500 else "Receiver"):
            self.say("envelope", "an error that does not say whose fault it is")
        self.request_id("RequestId", root.findtext("./{*}RequestId"))
        code = root.findtext("./{*}Error/{*}Code")
        if not root.findtext("./{*}Error/{*}Message"):
            self.say(code, "an error without a message")
        self.code(code, status, modelled, COMMON["query"], 400)
        return code

    def code(self, code, status, modelled, common, usual):
        if code in modelled:
            error = modelled[code].metadata.get("error", {})
            wanted = error.get("httpStatusCode", usual)
        elif code in common:
            wanted = common[code]
        else:
            return self.say(code, f"not one of the operation's errors: {sorted(modelled)}")
        if status != wanted:
            self.say(code, f"status {status}, not {wanted}")
        return None


def problems(operation, status, headers, body):
    """What is wrong with an answer, as texts, and the code if it is an error."""
    checker = Checker()
    headers = {name.lower(): value for name, value in headers.items()}
    if status < 300:
        checker.success(operation, status, headers, body)
        return checker.found, None
    code = checker.error(operation, status, headers, body)
    return checker.found, code
