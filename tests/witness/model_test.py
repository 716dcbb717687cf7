"""Plants errors in answers that are right, and sees that model.py finds each. Prints how many, and which it missed."""

import json

import botocore.session
import model

SESSION = botocore.session.get_session()
ID = "01234567-89ab-cdef-0123-456789abcdef"
XML = {"content-type": "text/xml;charset=UTF-8", "x-amzn-requestid": ID}
JSON = {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": ID}

VPCS = f"""<?xml version="1.0" encoding="UTF-8"?>
<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>{ID}</requestId><vpcSet><item>
<vpcId>vpc-1</vpcId><state>available</state><isDefault>false</isDefault><tagSet><item><key>a</key><value>b</value></item>
</tagSet></item></vpcSet></DescribeVpcsResponse>"""
VOLUMES = f"""<DescribeVolumesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>{ID}</requestId>
<volumeSet><item><size>8</size><createTime>2026-01-01T00:00:00.000Z</createTime></item></volumeSet>
</DescribeVolumesResponse>"""
ROLE = f"""<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role><Path>/</Path>
<RoleName>r</RoleName><RoleId>AROAAAAAAAAAAAAAAAAAA</RoleId><Arn>arn:aws:iam::123456789012:role/r</Arn>
<CreateDate>2026-01-01T00:00:00Z</CreateDate><Tags><member><Key>a</Key><Value>b</Value></member></Tags></Role>
</GetRoleResult><ResponseMetadata><RequestId>{ID}</RequestId></ResponseMetadata></GetRoleResponse>"""
PARAMETER = json.dumps(
    {"Parameter": {"Name": "a", "Type": "String", "Version": 1, "LastModifiedDate": 1.5, "DataType": "text"}}
)
EC2_ERROR = f"""<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code><Message>m</Message></Error></Errors>
<RequestID>{ID}</RequestID></Response>"""
IAM_ERROR = f"""<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>
<Code>NoSuchEntity</Code><Message>m</Message></Error><RequestId>{ID}</RequestId></ErrorResponse>"""
SSM_ERROR = json.dumps({"__type": "InvalidDocument", "Message": "m"})

# service, operation, status, headers, a right answer, and what is planted: (part of it, what stands there instead)
CASES = [
    (
        "ec2",
        "DescribeVpcs",
        200,
        XML,
        VPCS,
        [
            ("<vpcSet>", "<vpcs>"),
            ("item>", "member>"),
            ("isDefault>", "IsDefault>"),
            (">false<", ">False<"),
            (">available<", ">Available<"),
            ("requestId>", "RequestId>"),
            ("<key>a</key>", "<key>a</key><key>b</key>"),
            ("<vpcId>vpc-1</vpcId>", "<vpcId><item>vpc-1</item></vpcId>"),
            ("2016-11-15", "2014-01-01"),
            ("DescribeVpcsResponse", "DescribeVpcResponse"),
        ],
    ),
    (
        "ec2",
        "DescribeVolumes",
        200,
        XML,
        VOLUMES,
        [(">8<", ">8.0<"), ("2026-01-01T00:00:00.000Z", "2026-01-01 00:00:00"), (ID, "1")],
    ),
    (
        "iam",
        "GetRole",
        200,
        XML,
        ROLE,
        [
            ("<RoleId>AROAAAAAAAAAAAAAAAAAA</RoleId>", ""),
            ("member>", "item>"),
            ("GetRoleResult>", "Result>"),
            ("<Path>/</Path>", "<Path>/</Path><Colour>red</Colour>"),
            ("ResponseMetadata>", "Metadata>"),
        ],
    ),
    (
        "ssm",
        "GetParameter",
        200,
        JSON,
        PARAMETER,
        [
            ('"Version": 1', '"Version": "1"'),
            ('"LastModifiedDate": 1.5', '"LastModifiedDate": "2026-01-01T00:00:00Z"'),
            ('"Type": "String"', '"Type": "Text"'),
            ('"DataType"', '"dataType"'),
            ('"text"', "null"),
        ],
    ),
    (
        "ec2",
        "DescribeVpcs",
        400,
        XML,
        EC2_ERROR,
        [("<Errors><Error>", "<Error>"), ("RequestID>", "RequestId>"), ("<Message>m</Message>", "")],
    ),
    (
        "iam",
        "GetRole",
        404,
        XML,
        IAM_ERROR,
        [("<Type>Sender</Type>", ""), ("NoSuchEntity<", "NotFound<"), ("ErrorResponse", "Response")],
    ),
    (
        "ssm",
        "GetDocument",
        400,
        JSON,
        SSM_ERROR,
        [('"Message"', '"message"'), ("InvalidDocument", "NoSuchDocument"), ('"m"', "1")],
    ),
]


def main():
    found, missed = 0, []
    for service, operation, status, headers, right, plants in CASES:
        operation_model = SESSION.get_service_model(service).operation_model(operation)

        def judge(body, status=status, headers=headers):
            try:
                return model.problems(operation_model, status, headers, body.encode())[0]
            except ValueError as error:
                return [str(error)]

        if judge(right):
            missed.append(f"{operation}: a right answer is refused: {judge(right)}")
        wrong = [(old, new, judge(right.replace(old, new))) for old, new in plants]
        wrong.append(("status", "302" if status == 200 else "418", judge(right, status=302 if status == 200 else 418)))
        wrong.append(("content-type", "text/html", judge(right, headers=headers | {"content-type": "text/html"})))
        for old, new, problems in wrong:
            found += bool(problems)
            if not problems:
                missed.append(f"{service}:{operation}: {old} -> {new}")
    print(json.dumps({"found": found, "missed": missed}))


if __name__ == "__main__":
    main()
