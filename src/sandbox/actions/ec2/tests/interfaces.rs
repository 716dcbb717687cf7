//! Network interfaces and their attachments.

use super::*;

fn attach<'a>(instance: &'a str, interface: &'a str, index: &'a str) -> [(&'a str, &'a str); 3] {
    [("InstanceId", instance), ("NetworkInterfaceId", interface), ("DeviceIndex", index)]
}

#[test]
fn an_attached_interface_is_in_use_and_is_not_deleted() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let interface = client.interface(&article.private);
    let attachment = client.get("AttachNetworkInterface", &attach(&instance, &interface, "1"), "attachmentId");
    let (code, message) = client.error("DeleteNetworkInterface", &[("NetworkInterfaceId", &interface)]);
    assert_eq!(code, "InvalidParameterValue");
    assert_eq!(message, format!("Network interface '{interface}' is currently in use."));
    let again = attach(&instance, &interface, "1");
    assert_eq!(client.code("AttachNetworkInterface", &again), "InvalidNetworkInterface.InUse");
    client.ok("DetachNetworkInterface", &[("AttachmentId", &attachment)]);
    client.ok("DeleteNetworkInterface", &[("NetworkInterfaceId", &interface)]);
}

#[test]
fn attaching_takes_its_time_and_the_host_then_sees_the_card() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let interface = client.interface(&article.private);
    client.world.delays.attach = Duration::from_secs(3);
    client.ok("AttachNetworkInterface", &attach(&instance, &interface, "1"));
    let status = |client: &mut Client| {
        let body = client.ok("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &interface)]);
        texts(&body, "status")
    };
    let cards = |client: &Client| client.world.machines.values().next().unwrap().nics().len();
    assert_eq!((status(&mut client), cards(&client)), (vec!["attaching".to_owned(), "attaching".to_owned()], 1));
    client.pass(Duration::from_secs(3));
    assert_eq!((status(&mut client), cards(&client)), (vec!["attached".to_owned(), "in-use".to_owned()], 2));
}

#[test]
fn attaching_needs_the_same_zone_a_free_index_and_room() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let elsewhere =
        [("VpcId", article.vpc.as_str()), ("CidrBlock", "10.8.3.0/24"), ("AvailabilityZone", "eu-central-1a")];
    let elsewhere = client.get("CreateSubnet", &elsewhere, "subnetId");
    let far = client.interface(&elsewhere);
    assert_eq!(client.code("AttachNetworkInterface", &attach(&instance, &far, "1")), "InvalidParameterValue");
    let (a, b) = (client.interface(&article.private), client.interface(&article.private));
    assert_eq!(client.code("AttachNetworkInterface", &attach(&instance, &a, "0")), "InvalidParameterValue");
    client.ok("AttachNetworkInterface", &attach(&instance, &a, "1"));
    assert_eq!(client.code("AttachNetworkInterface", &attach(&instance, &b, "2")), "AttachmentLimitExceeded");
}

#[test]
fn the_primary_interface_is_not_detached() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let attachment = client.get("DescribeInstances", &[("InstanceId.1", &instance)], "attachmentId");
    assert_eq!(client.code("DetachNetworkInterface", &[("AttachmentId", &attachment)]), "OperationNotPermitted");
}

#[test]
fn the_check_is_a_property_of_each_interface() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.public);
    let off = [("InstanceId", instance.as_str()), ("SourceDestCheck.Value", "false")];
    client.ok("ModifyInstanceAttribute", &off);
    assert_eq!(client.get("DescribeInstances", &[("InstanceId.1", &instance)], "sourceDestCheck"), "false");
    let second = client.interface(&article.private);
    client.ok("AttachNetworkInterface", &attach(&instance, &second, "1"));
    let (code, message) = client.error("ModifyInstanceAttribute", &off);
    assert_eq!(code, "InvalidInstanceID");
    assert!(message.starts_with(&format!("There are multiple interfaces attached to instance '{instance}'.")));
    let of_second = [("NetworkInterfaceId", second.as_str()), ("SourceDestCheck.Value", "false")];
    client.ok("ModifyNetworkInterfaceAttribute", &of_second);
    let attribute = [("NetworkInterfaceId", second.as_str()), ("Attribute", "sourceDestCheck")];
    assert_eq!(client.get("DescribeNetworkInterfaceAttribute", &attribute, "value"), "false");
}

#[test]
fn one_attribute_is_modified_at_a_time() {
    let mut client = Client::new();
    let article = client.article();
    let interface = client.interface(&article.private);
    let two =
        [("NetworkInterfaceId", interface.as_str()), ("SourceDestCheck.Value", "false"), ("Description.Value", "nat")];
    assert_eq!(client.code("ModifyNetworkInterfaceAttribute", &two), "InvalidParameterCombination");
}

#[test]
fn an_interface_uses_the_default_group_unless_told_otherwise() {
    let mut client = Client::new();
    let article = client.article();
    let made = client.ok("CreateNetworkInterface", &[("SubnetId", &article.private), ("Description", "d")]);
    assert_eq!((text(&made, "groupName"), text(&made, "description")), ("default".to_owned(), "d".to_owned()));
    assert_eq!((text(&made, "status"), text(&made, "sourceDestCheck")), ("available".to_owned(), "true".to_owned()));
}
