//! The image that is a NAT by itself.

use super::*;

#[test]
fn fck_nats_image_forwards_and_attaches_the_interface_that_its_configuration_names() {
    let mut client = Client::new();
    let article = client.article();
    let table = client.get("CreateRouteTable", &[("VpcId", &article.vpc)], "routeTableId");
    client.ok("AssociateRouteTable", &[("RouteTableId", &table), ("SubnetId", &article.public)]);
    let default = ("DestinationCidrBlock", "0.0.0.0/0");
    client.ok("CreateRoute", &[("RouteTableId", &table), default, ("GatewayId", &article.gateway)]);
    let interface = client.interface(&article.private);
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
        "Principal":{"Service":"ec2.amazonaws.com"}}]}"#;
    for (action, pairs) in [
        ("CreateRole", vec![("RoleName", "nat"), ("AssumeRolePolicyDocument", trust)]),
        ("CreateInstanceProfile", vec![("InstanceProfileName", "nat")]),
        ("AddRoleToInstanceProfile", vec![("InstanceProfileName", "nat"), ("RoleName", "nat")]),
    ] {
        let response = client.world.handle(&Request::query(Service::Iam, action, pairs));
        assert_eq!(response.status, 200, "{action}: {}", response.body);
    }
    let script = format!("#!/bin/sh\necho \"eni_id={interface}\" >> /etc/fck-nat.conf\nservice fck-nat restart\n");
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, script);
    let image = [("Owner.1", "568608671756"), ("Filter.1.Name", "architecture"), ("Filter.1.Value.1", "arm64")];
    let image = client.get("DescribeImages", &image, "imageId");
    let instance = client.get(
        "RunInstances",
        &[
            ("ImageId", &image),
            ("InstanceType", "t4g.nano"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("SubnetId", &article.public),
            ("IamInstanceProfile.Name", "nat"),
            ("UserData", &data),
        ],
        "instanceId",
    );
    client.pass(Duration::from_secs(5));
    let shown = client.ok("DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &interface)]);
    assert_eq!(text(&shown, "instanceId"), instance, "{shown}");
    let id = crate::model::InstanceId::new(instance);
    let host = client.world.machines[&id].kernel().clone();
    let rules = serde_json::to_string(&host).unwrap().to_lowercase();
    assert!(rules.contains("masquerade"), "{rules}");
    let forward = client
        .world
        .machines
        .get_mut(&id)
        .unwrap()
        .run("sysctl -n net.ipv4.ip_forward", &crate::sandbox::host::Nowhere);
    assert_eq!(forward.stdout.trim(), "1");
}
