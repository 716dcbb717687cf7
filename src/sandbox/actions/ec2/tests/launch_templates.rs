//! Launch templates, and instances that come out of them.

use super::*;

const DATA: [(&str, &str); 10] = [
    ("LaunchTemplateData.ImageId", "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"),
    ("LaunchTemplateData.InstanceType", "t4g.nano"),
    ("LaunchTemplateData.UserData", "IyEvYmluL2Jhc2gK"),
    ("LaunchTemplateData.MetadataOptions.HttpTokens", "required"),
    ("LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit", "3"),
    ("LaunchTemplateData.NetworkInterface.1.DeviceIndex", "0"),
    ("LaunchTemplateData.NetworkInterface.1.AssociatePublicIpAddress", "true"),
    ("LaunchTemplateData.TagSpecification.1.ResourceType", "instance"),
    ("LaunchTemplateData.TagSpecification.1.Tag.1.Key", "role"),
    ("LaunchTemplateData.TagSpecification.1.Tag.1.Value", "nat"),
];

fn template(client: &mut Client, more: &[(&str, &str)]) -> String {
    let mut pairs = vec![("LaunchTemplateName", "nat")];
    pairs.extend(DATA);
    pairs.extend(more);
    client.get("CreateLaunchTemplate", &pairs, "launchTemplateId")
}

#[test]
fn a_version_reads_back_as_it_was_made_under_the_names_of_answers() {
    let mut client = Client::new();
    let article = client.article();
    let group = client.get(
        "CreateSecurityGroup",
        &[("GroupName", "nat"), ("GroupDescription", "nat"), ("VpcId", &article.vpc)],
        "groupId",
    );
    let id = template(
        &mut client,
        &[
            ("LaunchTemplateData.NetworkInterface.1.SecurityGroupId.1", &group),
            ("LaunchTemplateData.SecurityGroupId.1", &group),
        ],
    );
    let body = client.ok("DescribeLaunchTemplateVersions", &[("LaunchTemplateId", &id)]);
    for part in [
        "<defaultVersion>true</defaultVersion>",
        "<metadataOptions><httpTokens>required</httpTokens><httpPutResponseHopLimit>3</httpPutResponseHopLimit></metadataOptions>",
        "<networkInterfaceSet><item><deviceIndex>0</deviceIndex><associatePublicIpAddress>true</associatePublicIpAddress>",
        "<tagSpecificationSet><item>",
        "<tagSet><item><key>role</key><value>nat</value></item></tagSet>",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    assert!(body.contains(&format!("<groupSet><groupId>{group}</groupId></groupSet>")), "{body}");
    assert!(body.contains(&format!("<securityGroupIdSet><item>{group}</item></securityGroupIdSet>")), "{body}");
}

#[test]
fn an_instance_takes_from_its_template_what_the_request_leaves_out() {
    let mut client = Client::new();
    let article = client.article();
    let id = template(&mut client, &[("LaunchTemplateData.NetworkInterface.1.SubnetId", &article.public)]);
    let pairs = [
        ("LaunchTemplate.LaunchTemplateId", id.as_str()),
        ("LaunchTemplate.Version", "$Latest"),
        ("InstanceType", "t4g.micro"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "nat-1"),
    ];
    client.ok("RunInstances", &pairs);
    let body = client.ok("DescribeInstances", &[]);
    for part in [
        "<instanceType>t4g.micro</instanceType>",
        "<httpTokens>required</httpTokens>",
        "<key>role</key><value>nat</value>",
        "<key>Name</key><value>nat-1</value>",
        "<key>aws:ec2launchtemplate:version</key><value>1</value>",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    assert!(body.contains("<publicIp>"), "the template's interface has a public address: {body}");
}

#[test]
fn versions_are_numbered_for_ever_and_the_default_one_stays() {
    let mut client = Client::new();
    let id = template(&mut client, &[]);
    let next = |client: &mut Client, kind: &str| {
        let pairs =
            [("LaunchTemplateId", id.as_str()), ("SourceVersion", "1"), ("LaunchTemplateData.InstanceType", kind)];
        client.get("CreateLaunchTemplateVersion", &pairs, "versionNumber")
    };
    assert_eq!(next(&mut client, "t4g.small"), "2");
    let second = [("LaunchTemplateName", "nat"), ("LaunchTemplateVersion.1", "2")];
    let body = client.ok("DescribeLaunchTemplateVersions", &second);
    assert!(body.contains("<instanceType>t4g.small</instanceType>") && body.contains("<userData>"), "{body}");
    let body = client.ok(
        "DeleteLaunchTemplateVersions",
        &[("LaunchTemplateId", &id), ("LaunchTemplateVersion.1", "1"), ("LaunchTemplateVersion.2", "2")],
    );
    let (deleted, kept) = body.split_once("unsuccessfullyDeleted").unwrap();
    assert!(deleted.contains("<versionNumber>2<") && kept.contains("<versionNumber>1<"), "{body}");
    assert_eq!(next(&mut client, "t4g.medium"), "3");
    client.ok("ModifyLaunchTemplate", &[("LaunchTemplateId", &id), ("SetDefaultVersion", "3")]);
    assert_eq!(client.get("DescribeLaunchTemplates", &[], "defaultVersionNumber"), "3");
}

#[test]
fn what_does_not_exist_is_named() {
    let mut client = Client::new();
    let id = template(&mut client, &[]);
    let code = |client: &mut Client, action: &str, pairs: &[(&str, &str)]| client.code(action, pairs);
    assert_eq!(
        code(&mut client, "DescribeLaunchTemplates", &[("LaunchTemplateId.1", "lt-0123456789abcdef0")]),
        "InvalidLaunchTemplateId.NotFound"
    );
    assert_eq!(
        code(&mut client, "DescribeLaunchTemplates", &[("LaunchTemplateName.1", "none")]),
        "InvalidLaunchTemplateName.NotFoundException"
    );
    assert_eq!(
        code(
            &mut client,
            "DescribeLaunchTemplateVersions",
            &[("LaunchTemplateId", &id), ("LaunchTemplateVersion.1", "9")]
        ),
        "InvalidLaunchTemplateId.VersionNotFound"
    );
    let mut again = vec![("LaunchTemplateName", "nat")];
    again.extend(DATA);
    assert_eq!(code(&mut client, "CreateLaunchTemplate", &again), "InvalidLaunchTemplateName.AlreadyExistsException");
    client.ok("DeleteLaunchTemplate", &[("LaunchTemplateName", "nat")]);
    assert_eq!(
        code(&mut client, "DeleteLaunchTemplate", &[("LaunchTemplateId", &id)]),
        "InvalidLaunchTemplateId.NotFound"
    );
}
