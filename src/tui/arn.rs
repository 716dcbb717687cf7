//! Amazon resource names, from identity, kind and identifier. Pure.

use crate::model::Identity;

use super::tree::Kind;

/// The ARN of a resource. `None` while the account is not known.
pub fn of(identity: &Identity, kind: Kind, id: &str) -> Option<String> {
    let resource = match kind {
        // Its identifier is its ARN.
        Kind::InstanceProfile => return Some(id.to_owned()),
        Kind::Vpc => "vpc",
        Kind::Subnet => "subnet",
        Kind::Instance => "instance",
        Kind::RouteTable => "route-table",
        Kind::InternetGateway => "internet-gateway",
        Kind::EgressOnlyInternetGateway => "egress-only-internet-gateway",
        Kind::NatGateway => "natgateway",
        Kind::NetworkInterface => "network-interface",
        Kind::SecurityGroup => "security-group",
        Kind::NetworkAcl => "network-acl",
        Kind::VpcEndpoint => "vpc-endpoint",
        Kind::Address => "elastic-ip",
    };
    let account = identity.account_id.as_deref()?;
    let region = &identity.region;
    // Partitions: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    let partition = match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    Some(format!("arn:{partition}:ec2:{region}:{account}:{resource}/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::World;

    #[test]
    fn an_arn_needs_the_account_and_knows_its_partition() {
        let mut identity = Identity {
            world: World::Aws,
            region: "cn-north-1".to_owned(),
            profile: None,
            account_id: None,
            caller_arn: None,
            read_only: false,
        };
        assert_eq!(of(&identity, Kind::Vpc, "vpc-1"), None);
        identity.account_id = Some("123456789012".to_owned());
        let arn = of(&identity, Kind::NatGateway, "nat-1");
        assert_eq!(arn.as_deref(), Some("arn:aws-cn:ec2:cn-north-1:123456789012:natgateway/nat-1"));
    }
}
