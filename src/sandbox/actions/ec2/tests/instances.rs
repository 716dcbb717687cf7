//! Instances.

use super::*;

fn launch<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut pairs = vec![("ImageId", ARM_IMAGE), ("InstanceType", "t4g.nano"), ("MinCount", "1"), ("MaxCount", "1")];
    for (name, value) in more {
        pairs.retain(|(other, _)| other != name);
        pairs.push((name, value));
    }
    pairs
}

#[test]
fn an_instance_is_pending_then_running_then_passes_its_checks() {
    let mut client = Client::new();
    let article = client.article();
    client.world.delays.run = Duration::from_secs(10);
    client.world.delays.status_checks = Duration::from_secs(60);
    let instance = client.instance(&article.public);
    assert_eq!(client.state(&instance), "pending");
    assert!(client.world.machines.is_empty(), "nothing has booted");
    client.pass(Duration::from_secs(10));
    assert_eq!(client.state(&instance), "running");
    assert!(client.world.machines.values().all(crate::sandbox::host::Machine::is_running));
    let status = |client: &mut Client| {
        let body = client.ok("DescribeInstanceStatus", &[("InstanceId.1", &instance)]);
        texts(&body, "status")
    };
    assert!(status(&mut client).contains(&"initializing".to_owned()));
    client.pass(Duration::from_secs(60));
    assert_eq!(counted(status(&mut client))["ok"], 2);
}

#[test]
fn what_is_launched_must_exist_and_fit() {
    let mut client = Client::new();
    let article = client.article();
    let elsewhere = client.vpc("10.9.0.0/16");
    let foreign = [("GroupName", "g"), ("GroupDescription", "d"), ("VpcId", elsewhere.as_str())];
    let foreign = client.get("CreateSecurityGroup", &foreign, "groupId");
    let x86 = IMAGES.iter().find(|image| image.architecture == "x86_64").unwrap().image_id;
    let subnet = ("SubnetId", article.public.as_str());
    let cases: [(&[(&str, &str)], &str); 11] = [
        (&[subnet, ("ImageId", "ami-0123456789abcdef0")], "InvalidAMIID.NotFound"),
        (&[subnet, ("InstanceType", "t9.nano")], "InvalidParameterValue"),
        (&[subnet, ("ImageId", x86)], "InvalidParameterValue"),
        (&[subnet, ("SecurityGroupId.1", "sg-0123456789abcdef0")], "InvalidGroup.NotFound"),
        (&[subnet, ("SecurityGroupId.1", &foreign)], "InvalidGroup.NotFound"),
        (&[subnet, ("KeyName", "nobody")], "InvalidKeyPair.NotFound"),
        (&[subnet, ("UserData", "not base64!")], "InvalidParameterValue"),
        (&[subnet, ("IamInstanceProfile.Name", "nobody")], "InvalidParameterValue"),
        (&[subnet, ("MinCount", "2")], "InvalidParameterValue"),
        (&[subnet, ("Placement.AvailabilityZone", "eu-central-1a")], "InvalidParameterValue"),
        (&[], "VPCIdNotSpecified"),
    ];
    for (more, code) in cases {
        assert_eq!(client.code("RunInstances", &launch(more)), code, "{more:?}");
    }
    assert!(client.world.network.instances.shown().is_empty());
}

#[test]
fn a_public_subnet_gives_a_public_address_unless_it_is_declined() {
    let mut client = Client::new();
    let article = client.article();
    let address = |client: &mut Client, id: &str| client.get("DescribeInstances", &[("InstanceId.1", id)], "ipAddress");
    let public = client.instance(&article.public);
    assert!(address(&mut client, &public).starts_with("3."));
    let private = client.instance(&article.private);
    assert_eq!(address(&mut client, &private), "");
    let spec = [
        ("NetworkInterface.1.DeviceIndex", "0"),
        ("NetworkInterface.1.SubnetId", article.public.as_str()),
        ("NetworkInterface.1.AssociatePublicIpAddress", "false"),
    ];
    let declined = client.run(&spec);
    assert_eq!(address(&mut client, &declined), "");
}

#[test]
fn two_interfaces_at_launch_get_no_public_address() {
    let mut client = Client::new();
    let article = client.article();
    let mut pairs = vec![
        ("NetworkInterface.1.DeviceIndex", "0"),
        ("NetworkInterface.1.SubnetId", article.public.as_str()),
        ("NetworkInterface.2.DeviceIndex", "1"),
        ("NetworkInterface.2.SubnetId", article.private.as_str()),
    ];
    let instance = client.run(&pairs);
    let shown = client.ok("DescribeInstances", &[("InstanceId.1", &instance)]);
    assert_eq!(texts(&shown, "deviceIndex"), ["0", "1"]);
    assert_eq!(text(&shown, "publicIp"), "");
    pairs.push(("NetworkInterface.1.AssociatePublicIpAddress", "true"));
    assert_eq!(client.code("RunInstances", &launch(&pairs)), "InvalidParameterCombination");
}

#[test]
fn stop_loses_the_address_and_start_gives_another_only_with_one_interface() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let address = |client: &mut Client| client.get("DescribeInstances", &[("InstanceId.1", &instance)], "ipAddress");
    let before = address(&mut client);
    client.ok("StopInstances", &[("InstanceId.1", &instance)]);
    assert_eq!((client.state(&instance).as_str(), address(&mut client).as_str()), ("stopped", ""));
    client.ok("StartInstances", &[("InstanceId.1", &instance)]);
    let after = address(&mut client);
    assert!(!after.is_empty() && after != before);
    let second = client.interface(&article.private);
    let pairs = [("InstanceId", instance.as_str()), ("NetworkInterfaceId", second.as_str()), ("DeviceIndex", "1")];
    client.ok("AttachNetworkInterface", &pairs);
    client.ok("StopInstances", &[("InstanceId.1", &instance)]);
    client.ok("StartInstances", &[("InstanceId.1", &instance)]);
    assert_eq!(client.state(&instance), "running");
    assert_eq!(address(&mut client), "", "with two interfaces there is no new address");
}

#[test]
fn an_elastic_ip_survives_stop_and_start() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let allocated = client.ok("AllocateAddress", &[]);
    let (id, ip) = (text(&allocated, "allocationId"), text(&allocated, "publicIp"));
    client.ok("AssociateAddress", &[("AllocationId", &id), ("InstanceId", &instance)]);
    for action in ["StopInstances", "StartInstances"] {
        client.ok(action, &[("InstanceId.1", &instance)]);
        assert_eq!(client.get("DescribeInstances", &[("InstanceId.1", &instance)], "ipAddress"), ip, "{action}");
    }
}

#[test]
fn termination_deletes_its_own_interfaces_and_frees_the_others() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let second = client.interface(&article.private);
    let pairs = [("InstanceId", instance.as_str()), ("NetworkInterfaceId", second.as_str()), ("DeviceIndex", "1")];
    client.ok("AttachNetworkInterface", &pairs);
    let answer = client.ok("TerminateInstances", &[("InstanceId.1", &instance)]);
    assert_eq!(texts(&answer, "name"), ["shutting-down", "running"]);
    assert_eq!(client.state(&instance), "terminated");
    let left = client.ok("DescribeNetworkInterfaces", &[]);
    assert_eq!(texts(&left, "networkInterfaceId"), [second]);
    assert_eq!(text(&left, "status"), "available");
    assert!(client.world.machines.is_empty() && client.world.records.volumes.is_empty());
    client.pass(Duration::from_secs(61));
    assert_eq!(client.code("DescribeInstances", &[("InstanceId.1", &instance)]), "InvalidInstanceID.NotFound");
}

#[test]
fn states_forbid_what_they_forbid() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.private);
    let id = [("InstanceId.1", instance.as_str())];
    client.ok("StopInstances", &id);
    assert_eq!(client.code("RebootInstances", &id), "IncorrectInstanceState");
    client.ok("StopInstances", &id);
    client.ok("TerminateInstances", &id);
    client.ok("TerminateInstances", &id);
    assert_eq!(client.code("StartInstances", &id), "IncorrectInstanceState");
    assert_eq!(client.code("StopInstances", &id), "IncorrectInstanceState");
}

#[test]
fn a_protected_instance_is_not_terminated() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.run(&[("SubnetId", &article.private), ("DisableApiTermination", "true")]);
    assert_eq!(client.code("TerminateInstances", &[("InstanceId.1", &instance)]), "OperationNotPermitted");
    let off = [("InstanceId", instance.as_str()), ("Attribute", "disableApiTermination"), ("Value", "false")];
    client.ok("ModifyInstanceAttribute", &off);
    client.ok("TerminateInstances", &[("InstanceId.1", &instance)]);
}

#[test]
fn a_launch_is_idempotent_by_its_token() {
    let mut client = Client::new();
    let article = client.article();
    let pairs = launch(&[("SubnetId", &article.private), ("ClientToken", "launch-1")]);
    let first = client.get("RunInstances", &pairs, "instanceId");
    assert_eq!(client.get("RunInstances", &pairs, "instanceId"), first);
    assert_eq!(client.world.network.instances.shown().len(), 1);
    let other = launch(&[("SubnetId", &article.public), ("ClientToken", "launch-1")]);
    assert_eq!(client.code("RunInstances", &other), "IdempotentParameterMismatch");
}

#[test]
fn amazon_linux_2023_requires_imdsv2_and_volumes_are_as_asked() {
    let mut client = Client::new();
    let article = client.article();
    let pairs = launch(&[
        ("SubnetId", &article.private),
        ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.Ebs.Encrypted", "true"),
        ("TagSpecification.1.ResourceType", "volume"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "root"),
    ]);
    let made = client.ok("RunInstances", &pairs);
    assert_eq!(text(&made, "httpTokens"), "required");
    let volume = client.ok("DescribeVolumes", &[]);
    assert_eq!((text(&volume, "encrypted"), text(&volume, "value")), ("true".to_owned(), "root".to_owned()));
    assert_eq!(text(&volume, "volumeId"), text(&made, "volumeId"));
}

#[test]
fn the_articles_image_filter_finds_nothing_any_more() {
    let mut client = Client::new();
    let by_name = |pattern| [("Owner.1", "amazon"), ("Filter.1.Name", "name"), ("Filter.1.Value.1", pattern)];
    let old = by_name("amzn2-ami-hvm-2.0.2023*-arm64-gp2");
    assert!(texts(&client.ok("DescribeImages", &old), "imageId").is_empty());
    let mut with_old = old.to_vec();
    with_old.push(("IncludeDeprecated", "true"));
    assert_eq!(texts(&client.ok("DescribeImages", &with_old), "imageId").len(), 1);
    let new = by_name("al2023-ami-2023.*-kernel-6.1-arm64");
    assert_eq!(texts(&client.ok("DescribeImages", &new), "imageId"), [ARM_IMAGE]);
}

#[test]
fn a_nano_has_room_for_two_interfaces() {
    let mut client = Client::new();
    let body = client.ok("DescribeInstanceTypes", &[("InstanceType.1", "t4g.nano")]);
    assert_eq!(text(&body, "maximumNetworkInterfaces"), "2");
    assert_eq!(client.code("DescribeInstanceTypes", &[("InstanceType.1", "t9.nano")]), "InvalidInstanceType");
}

#[test]
fn catalogs_answer() {
    let mut client = Client::new();
    let zones = client.ok("DescribeAvailabilityZones", &[]);
    assert_eq!(texts(&zones, "zoneName"), ["eu-central-1a", "eu-central-1b", "eu-central-1c"]);
    assert_eq!(texts(&zones, "zoneId"), ["euc1-az1", "euc1-az2", "euc1-az3"]);
    assert!(texts(&client.ok("DescribeRegions", &[]), "regionName").contains(&"us-east-1".to_owned()));
    let lists = client.ok("DescribeManagedPrefixLists", &[]);
    assert_eq!(texts(&lists, "prefixListName").len(), 3);
    assert_eq!(texts(&client.ok("DescribePrefixLists", &[]), "prefixListId").len(), 3);
    let service = [("ServiceName.1", "com.amazonaws.eu-central-1.ssm")];
    let services = client.ok("DescribeVpcEndpointServices", &service);
    assert_eq!(text(&services, "privateDnsName"), "ssm.eu-central-1.amazonaws.com");
    client.vpc("10.0.0.0/16");
    let options = client.ok("DescribeDhcpOptions", &[]);
    assert_eq!(texts(&options, "value"), ["eu-central-1.compute.internal", "AmazonProvidedDNS"]);
}

#[test]
fn key_pairs_are_imported_once() {
    let mut client = Client::new();
    let key = "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTUgbWU=";
    let pairs = [("KeyName", "me"), ("PublicKeyMaterial", key)];
    client.ok("ImportKeyPair", &pairs);
    assert_eq!(client.code("ImportKeyPair", &pairs), "InvalidKeyPair.Duplicate");
    assert_eq!(client.get("DescribeKeyPairs", &[], "keyType"), "ed25519");
    let made = client.ok("CreateKeyPair", &[("KeyName", "made")]);
    assert!(text(&made, "keyMaterial").starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    client.ok("DeleteKeyPair", &[("KeyName", "me")]);
    assert_eq!(client.code("DescribeKeyPairs", &[("KeyName.1", "me")]), "InvalidKeyPair.NotFound");
}

#[test]
fn options_can_be_changed_after_launch() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.private);
    let id = ("InstanceId", instance.as_str());
    client.ok("ModifyInstanceMetadataOptions", &[id, ("HttpTokens", "optional")]);
    assert_eq!(client.get("DescribeInstances", &[("InstanceId.1", &instance)], "httpTokens"), "optional");
    client.ok("ModifyInstanceMetadataOptions", &[id, ("HttpEndpoint", "disabled")]);
    assert_eq!(client.get("DescribeInstances", &[("InstanceId.1", &instance)], "httpEndpoint"), "disabled");
    let credits = [("InstanceId.1", instance.as_str())];
    assert_eq!(client.get("DescribeInstanceCreditSpecifications", &credits, "cpuCredits"), "unlimited");
    let standard = [
        ("InstanceCreditSpecification.1.InstanceId", instance.as_str()),
        ("InstanceCreditSpecification.1.CpuCredits", "standard"),
    ];
    client.ok("ModifyInstanceCreditSpecification", &standard);
    assert_eq!(client.get("DescribeInstanceCreditSpecifications", &credits, "cpuCredits"), "standard");
    client.ok("RebootInstances", &[("InstanceId.1", &instance)]);
    assert_eq!(client.state(&instance), "running");
    assert_eq!(client.get("GetConsoleOutput", &[id], "instanceId"), instance);
    for (attribute, value) in [("instanceType", "t4g.nano"), ("sourceDestCheck", "true"), ("disableApiStop", "false")] {
        assert_eq!(client.get("DescribeInstanceAttribute", &[id, ("Attribute", attribute)], "value"), value);
    }
    assert_eq!(
        client.code("ModifyInstanceAttribute", &[id, ("InstanceType.Value", "t4g.micro")]),
        "IncorrectInstanceState"
    );
    client.ok("StopInstances", &[("InstanceId.1", &instance)]);
    client.ok("ModifyInstanceAttribute", &[id, ("InstanceType.Value", "t4g.micro")]);
    assert_eq!(client.get("DescribeInstances", &[("InstanceId.1", &instance)], "instanceType"), "t4g.micro");
}

#[test]
fn an_instance_profile_must_exist_hold_a_role_and_be_the_only_one() {
    let mut client = Client::new();
    let article = client.article();
    let iam = |client: &mut Client, action: &str, pairs: &[(&str, &str)]| {
        let response = client.world.handle(&Request::query(Service::Iam, action, pairs.iter().copied()));
        assert_eq!(response.status, 200, "{action}: {}", response.body);
    };
    iam(&mut client, "CreateInstanceProfile", &[("InstanceProfileName", "nat")]);
    let profile = [("SubnetId", article.private.as_str()), ("IamInstanceProfile.Name", "nat")];
    let (code, message) = client.error("RunInstances", &launch(&profile));
    assert_eq!(code, "InvalidParameterValue");
    assert!(message.contains("has no associated IAM Roles"), "{message}");
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    iam(&mut client, "CreateRole", &[("RoleName", "nat"), ("AssumeRolePolicyDocument", trust)]);
    iam(&mut client, "AddRoleToInstanceProfile", &[("InstanceProfileName", "nat"), ("RoleName", "nat")]);
    let instance = client.run(&profile);
    let shown = client.ok("DescribeIamInstanceProfileAssociations", &[]);
    assert_eq!(text(&shown, "instanceId"), instance);
    let again = [("InstanceId", instance.as_str()), ("IamInstanceProfile.Name", "nat")];
    assert_eq!(client.code("AssociateIamInstanceProfile", &again), "IncorrectState");
    client.ok("DisassociateIamInstanceProfile", &[("AssociationId", &text(&shown, "associationId"))]);
    assert!(!client.ok("DescribeInstances", &[("InstanceId.1", &instance)]).contains("<iamInstanceProfile>"));
    let association = client.get("AssociateIamInstanceProfile", &again, "associationId");
    let replacement = [("AssociationId", association.as_str()), ("IamInstanceProfile.Name", "nat")];
    client.ok("ReplaceIamInstanceProfileAssociation", &replacement);
}
