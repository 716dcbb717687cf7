//! The requests that make the scenarios.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::{ACCOUNT_ID, Scenario};
use crate::model::InstanceState;
use crate::sandbox::actions::{ec2, ssm};
use crate::sandbox::host::Machine;
use crate::sandbox::wire::{Request, Service};
use crate::sandbox::world::World;

/// Why there is no such world.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("'{0}' is no scenario: expected empty, draft or article")]
    Unknown(String),
    #[error("the sandbox refused {action} while it built the scenario: {answer}")]
    Refused { action: String, answer: String },
    #[error("the sandbox answered {action} without {element} while it built the scenario")]
    Incomplete { action: String, element: &'static str },
    #[error("the sandbox offers no image for {0}")]
    NoImage(&'static str),
    #[error("the scenario did not come to rest: {0}")]
    Restless(String),
}

/// How long before `now` a scenario's resources were made.
const AGE: Duration = Duration::from_secs(600);
/// What makes the NAT host forward and masquerade.
const NAT_USER_DATA: &str = include_str!("../../../assets/user-data.sh");
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

pub(super) fn build(scenario: Scenario, region: &str, seed: u64, now: Timestamp) -> Result<World, ScenarioError> {
    let start = now.saturating_sub(AGE).unwrap_or(now);
    let mut builder = Builder { world: World::new(ACCOUNT_ID, region, seed, start) };
    match scenario {
        Scenario::Empty => {}
        Scenario::Draft => {
            builder.draft()?;
        }
        Scenario::Article => {
            let draft = builder.draft()?;
            builder.nat(&draft)?;
        }
    }
    let mut world = builder.world;
    settle(&mut world, now)?;
    Ok(world)
}

/// Lets time pass up to `now`, in steps, until nothing is under way any more.
pub fn settle(world: &mut World, now: Timestamp) -> Result<(), ScenarioError> {
    let mut at = world.now;
    while at < now {
        at = at.saturating_add(Duration::from_secs(5)).unwrap_or(now).min(now);
        world.advance(at);
        ssm::advance(world);
    }
    world.advance(now);
    ssm::advance(world);
    let restless = world.network.instances.shown().values().find(|instance| {
        matches!(instance.state, InstanceState::Pending | InstanceState::Stopping | InstanceState::ShuttingDown)
            || world.machines.get(&instance.instance_id).is_some_and(Machine::is_busy)
    });
    match restless {
        Some(instance) => Err(ScenarioError::Restless(format!("{} is {}", instance.instance_id, instance.state))),
        None => Ok(()),
    }
}

/// What the NAT is added to.
struct Draft {
    zone: String,
    vpc_id: String,
    public_subnet_id: String,
    private_subnet_id: String,
    private_table_id: String,
    private_group_id: String,
}

struct Builder {
    world: World,
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

impl Builder {
    /// Sends one request, a second after the last.
    fn send(&mut self, service: Service, action: &str, pairs: Pairs<'_>) -> Result<String, ScenarioError> {
        let next = self.world.now.saturating_add(Duration::from_secs(1)).unwrap_or(self.world.now);
        self.world.advance(next);
        let response = self.world.handle(&Request::query(service, action, pairs.iter().copied()));
        if response.status == 200 {
            Ok(response.body)
        } else {
            Err(ScenarioError::Refused { action: action.to_owned(), answer: response.body })
        }
    }

    fn ec2(&mut self, action: &str, pairs: Pairs<'_>) -> Result<(), ScenarioError> {
        self.send(Service::Ec2, action, pairs).map(|_| ())
    }

    fn iam(&mut self, action: &str, pairs: Pairs<'_>) -> Result<(), ScenarioError> {
        self.send(Service::Iam, action, pairs).map(|_| ())
    }

    /// Makes something and returns the identifier in `element` of the answer.
    fn make(&mut self, action: &str, element: &'static str, pairs: Pairs<'_>) -> Result<String, ScenarioError> {
        let body = self.send(Service::Ec2, action, pairs)?;
        text_of(&body, element).ok_or_else(|| ScenarioError::Incomplete { action: action.to_owned(), element })
    }

    /// Makes something with a `Name`.
    fn make_named(
        &mut self,
        action: &str,
        element: &'static str,
        kind: &str,
        name: &str,
        pairs: Pairs<'_>,
    ) -> Result<String, ScenarioError> {
        let tags = [
            ("TagSpecification.1.ResourceType", kind),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", name),
        ];
        let all: Vec<(&str, &str)> = pairs.iter().copied().chain(tags).collect();
        self.make(action, element, &all)
    }

    fn draft(&mut self) -> Result<Draft, ScenarioError> {
        let region = self.world.region.clone();
        // The article's zone.
        let zone = format!("{region}b");
        let vpc_id = self.make_named("CreateVpc", "vpcId", "vpc", "nat-test", &[("CidrBlock", "10.8.0.0/16")])?;
        for attribute in ["EnableDnsSupport.Value", "EnableDnsHostnames.Value"] {
            self.ec2("ModifyVpcAttribute", &[("VpcId", &vpc_id), (attribute, "true")])?;
        }
        let igw_id = self.make_named("CreateInternetGateway", "internetGatewayId", "internet-gateway", "igw", &[])?;
        self.ec2("AttachInternetGateway", &[("VpcId", &vpc_id), ("InternetGatewayId", &igw_id)])?;

        let public_subnet_id = self.subnet(&vpc_id, &zone, "public-subnet", "10.8.1.0/24")?;
        self.ec2("ModifySubnetAttribute", &[("SubnetId", &public_subnet_id), ("MapPublicIpOnLaunch.Value", "true")])?;
        let public_table_id = self.table(&vpc_id, &public_subnet_id, "public-rtb")?;
        self.ec2(
            "CreateRoute",
            &[("RouteTableId", &public_table_id), ("DestinationCidrBlock", "0.0.0.0/0"), ("GatewayId", &igw_id)],
        )?;
        let private_subnet_id = self.subnet(&vpc_id, &zone, "private-subnet", "10.8.2.0/24")?;
        let private_table_id = self.table(&vpc_id, &private_subnet_id, "private-rtb")?;

        let private_group_id = self.group(&vpc_id, "Private", "Private instances: egress only")?;
        self.ssm_access(&vpc_id, &private_subnet_id)?;
        let image_id = image("al2023-ami-kernel-default-arm64")?;
        for name in ["Private-Instance-0", "Private-Instance-1"] {
            self.make_named(
                "RunInstances",
                "instanceId",
                "instance",
                name,
                &[
                    ("ImageId", image_id),
                    ("InstanceType", "t4g.nano"),
                    ("MinCount", "1"),
                    ("MaxCount", "1"),
                    ("SubnetId", &private_subnet_id),
                    ("SecurityGroupId.1", &private_group_id),
                    ("IamInstanceProfile.Name", "ssm-profile"),
                ],
            )?;
        }
        Ok(Draft { zone, vpc_id, public_subnet_id, private_subnet_id, private_table_id, private_group_id })
    }

    fn subnet(&mut self, vpc_id: &str, zone: &str, name: &str, cidr: &str) -> Result<String, ScenarioError> {
        let pairs = [("VpcId", vpc_id), ("CidrBlock", cidr), ("AvailabilityZone", zone)];
        self.make_named("CreateSubnet", "subnetId", "subnet", name, &pairs)
    }

    fn table(&mut self, vpc_id: &str, subnet_id: &str, name: &str) -> Result<String, ScenarioError> {
        let id = self.make_named("CreateRouteTable", "routeTableId", "route-table", name, &[("VpcId", vpc_id)])?;
        self.ec2("AssociateRouteTable", &[("RouteTableId", &id), ("SubnetId", subnet_id)])?;
        Ok(id)
    }

    fn group(&mut self, vpc_id: &str, name: &str, about: &str) -> Result<String, ScenarioError> {
        let pairs = [("VpcId", vpc_id), ("GroupName", name), ("GroupDescription", about)];
        self.make_named("CreateSecurityGroup", "groupId", "security-group", name, &pairs)
    }

    /// Role, profile and endpoints: how SSM reaches instances that have no way out.
    fn ssm_access(&mut self, vpc_id: &str, subnet_id: &str) -> Result<(), ScenarioError> {
        self.iam("CreateRole", &[("RoleName", "ssm-role"), ("AssumeRolePolicyDocument", TRUST)])?;
        let core = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
        self.iam("AttachRolePolicy", &[("RoleName", "ssm-role"), ("PolicyArn", core)])?;
        self.iam("CreateInstanceProfile", &[("InstanceProfileName", "ssm-profile")])?;
        self.iam("AddRoleToInstanceProfile", &[("InstanceProfileName", "ssm-profile"), ("RoleName", "ssm-role")])?;
        let group_id = self.group(vpc_id, "endpoints", "HTTPS from the VPC to the SSM endpoints")?;
        self.ec2(
            "AuthorizeSecurityGroupIngress",
            &[
                ("GroupId", &group_id),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "443"),
                ("IpPermissions.1.ToPort", "443"),
                ("IpPermissions.1.IpRanges.1.CidrIp", "10.8.0.0/16"),
            ],
        )?;
        let region = self.world.region.clone();
        for service in ["ssm", "ssmmessages", "ec2messages"] {
            let service_name = format!("com.amazonaws.{region}.{service}");
            self.make_named(
                "CreateVpcEndpoint",
                "vpcEndpointId",
                "vpc-endpoint",
                service,
                &[
                    ("VpcEndpointType", "Interface"),
                    ("VpcId", vpc_id),
                    ("ServiceName", &service_name),
                    ("SubnetId.1", subnet_id),
                    ("SecurityGroupId.1", &group_id),
                    ("PrivateDnsEnabled", "true"),
                ],
            )?;
        }
        Ok(())
    }

    /// The article's second half.
    fn nat(&mut self, draft: &Draft) -> Result<(), ScenarioError> {
        let group_id = self.group(&draft.vpc_id, "NAT", "NAT instance: everything from the private instances")?;
        self.ec2(
            "AuthorizeSecurityGroupIngress",
            &[
                ("GroupId", &group_id),
                ("IpPermissions.1.IpProtocol", "-1"),
                ("IpPermissions.1.Groups.1.GroupId", &draft.private_group_id),
            ],
        )?;
        let user_data = BASE64_STANDARD.encode(NAT_USER_DATA);
        let instance_id = self.make_named(
            "RunInstances",
            "instanceId",
            "instance",
            "NAT-Instance",
            &[
                ("ImageId", image("al2023-ami-kernel-default-arm64")?),
                ("InstanceType", "t4g.nano"),
                ("MinCount", "1"),
                ("MaxCount", "1"),
                ("Placement.AvailabilityZone", &draft.zone),
                ("NetworkInterface.1.DeviceIndex", "0"),
                ("NetworkInterface.1.SubnetId", &draft.public_subnet_id),
                ("NetworkInterface.1.SecurityGroupId.1", &group_id),
                ("NetworkInterface.1.AssociatePublicIpAddress", "true"),
                ("IamInstanceProfile.Name", "ssm-profile"),
                ("MetadataOptions.HttpTokens", "required"),
                ("UserData", &user_data),
            ],
        )?;
        let interface_id = self.make_named(
            "CreateNetworkInterface",
            "networkInterfaceId",
            "network-interface",
            "private-sub-ni",
            &[("SubnetId", &draft.private_subnet_id), ("SecurityGroupId.1", &group_id)],
        )?;
        self.ec2(
            "ModifyNetworkInterfaceAttribute",
            &[("NetworkInterfaceId", &interface_id), ("SourceDestCheck.Value", "false")],
        )?;
        self.ec2(
            "AttachNetworkInterface",
            &[("NetworkInterfaceId", &interface_id), ("InstanceId", &instance_id), ("DeviceIndex", "1")],
        )?;
        self.ec2(
            "CreateRoute",
            &[
                ("RouteTableId", &draft.private_table_id),
                ("DestinationCidrBlock", "0.0.0.0/0"),
                ("NetworkInterfaceId", &interface_id),
            ],
        )
    }
}

/// The newest public image of a line.
fn image(parameter: &'static str) -> Result<&'static str, ScenarioError> {
    let image = ec2::IMAGES.iter().find(|image| image.parameters.contains(&parameter));
    image.map(|image| image.image_id).ok_or(ScenarioError::NoImage(parameter))
}

/// The text of the first element of this name.
fn text_of(body: &str, element: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{element}>"))?;
    rest.split_once('<').map(|(text, _)| text.to_owned())
}
