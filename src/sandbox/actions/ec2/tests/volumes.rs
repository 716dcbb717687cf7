//! EBS volumes.

use super::*;

const SECOND: [(&str, &str); 4] = [
    ("BlockDeviceMapping.1.DeviceName", "/dev/sdf"),
    ("BlockDeviceMapping.1.Ebs.VolumeSize", "20"),
    ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
    ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "false"),
];

#[test]
fn a_launch_makes_every_volume_it_names_and_a_termination_keeps_those_it_should() {
    let mut client = Client::new();
    let article = client.article();
    let mut pairs = vec![("SubnetId", article.private.as_str())];
    pairs.extend(SECOND);
    let instance = client.run(&pairs);
    let body = client.ok("DescribeInstances", &[]);
    assert!(body.find("/dev/xvda").unwrap() < body.find("/dev/sdf").unwrap(), "the root volume comes first: {body}");
    client.ok("TerminateInstances", &[("InstanceId.1", &instance)]);
    let body = client.ok("DescribeVolumes", &[]);
    assert_eq!(body.matches("<volumeId>").count(), 1, "{body}");
    assert_eq!((text(&body, "size"), text(&body, "status")), ("20".to_owned(), "available".to_owned()));
}

#[test]
fn a_volume_is_attached_in_its_own_zone_to_one_instance() {
    let mut client = Client::new();
    let article = client.article();
    let instance = client.instance(&article.private);
    let make = |client: &mut Client, zone: &str| {
        client.get("CreateVolume", &[("AvailabilityZone", zone), ("Size", "8")], "volumeId")
    };
    let near = make(&mut client, "eu-central-1b");
    let far = make(&mut client, "eu-central-1a");
    let attach = |volume: &str| {
        vec![("VolumeId", volume.to_owned()), ("InstanceId", instance.clone()), ("Device", "/dev/sdg".to_owned())]
    };
    let send = |client: &mut Client, action: &str, pairs: &[(&str, String)]| {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
        client.send(action, &pairs).body
    };
    assert_eq!(text(&send(&mut client, "AttachVolume", &attach(&far)), "Code"), "InvalidVolume.ZoneMismatch");
    assert_eq!(text(&send(&mut client, "AttachVolume", &attach(&near)), "status"), "attaching");
    assert_eq!(text(&send(&mut client, "AttachVolume", &attach(&near)), "Code"), "VolumeInUse");
    assert_eq!(client.code("DeleteVolume", &[("VolumeId", &near)]), "VolumeInUse");
    client.ok("DetachVolume", &[("VolumeId", &near)]);
    client.ok("DeleteVolume", &[("VolumeId", &near)]);
    assert_eq!(client.code("DescribeVolumes", &[("VolumeId.1", &near)]), "InvalidVolume.NotFound");
    let root =
        client.get("DescribeVolumes", &[("Filter.1.Name", "status"), ("Filter.1.Value.1", "in-use")], "volumeId");
    assert_eq!(client.code("DetachVolume", &[("VolumeId", &root)]), "OperationNotPermitted");
}

#[test]
fn a_volume_grows_and_does_not_shrink() {
    let mut client = Client::new();
    let pairs = [("AvailabilityZone", "eu-central-1b"), ("Size", "8"), ("VolumeType", "gp3"), ("Throughput", "250")];
    let id = client.get("CreateVolume", &pairs, "volumeId");
    assert_eq!(
        client.code("DescribeVolumesModifications", &[("VolumeId.1", &id)]),
        "InvalidVolumeModification.NotFound"
    );
    assert_eq!(client.get("ModifyVolume", &[("VolumeId", &id), ("Size", "16")], "modificationState"), "modifying");
    assert_eq!(client.code("ModifyVolume", &[("VolumeId", &id), ("Size", "10")]), "InvalidParameterValue");
    let body = client.ok("DescribeVolumesModifications", &[("VolumeId.1", &id)]);
    let told = (text(&body, "originalSize"), text(&body, "targetSize"), text(&body, "targetThroughput"));
    assert_eq!(told, ("8".to_owned(), "16".to_owned(), "250".to_owned()));
}

#[test]
fn sizes_and_types_must_fit_each_other() {
    let mut client = Client::new();
    for (kind, size) in [("gp3", "0"), ("st1", "8"), ("gp4", "8"), ("standard", "2000")] {
        let pairs = [("AvailabilityZone", "eu-central-1b"), ("Size", size), ("VolumeType", kind)];
        assert_eq!(client.code("CreateVolume", &pairs), "InvalidParameterValue", "{kind} {size}");
    }
    let pairs = [("AvailabilityZone", "eu-central-1b"), ("Size", "8"), ("VolumeType", "io2")];
    assert_eq!(client.code("CreateVolume", &pairs), "MissingParameter");
}
