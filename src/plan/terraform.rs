//! A step as the Terraform block that would make the same. Pure.

use super::{Call, IngressRule, Launch, Ref, RouteVia, RulePeer, Step, StepId};
use crate::model::{NetworkInterfaceId, Tags};

/// A string of Terraform's language.
fn text(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", escaped.replace("${", "$${").replace("%{", "%%{"))
}

/// The expression for a resource: its identifier, or a reference to the block that makes it.
fn expression<T: super::Produced>(reference: &Ref<T>, kind: &str) -> String {
    match reference {
        Ref::Existing(id) => text(&id.to_string()),
        Ref::Made(step) => format!("{kind}.{}.id", step.terraform_name()),
    }
}

fn interface(reference: &Ref<NetworkInterfaceId>) -> String {
    match reference {
        Ref::Made(step) if step.as_str().ends_with("-instance") => {
            format!("aws_instance.{}.{}", step.terraform_name(), "primary_network_interface_id")
        }
        reference => expression(reference, "aws_network_interface"),
    }
}

/// One block.
struct Block(String);

impl Block {
    fn new(kind: &str, id: &StepId) -> Self {
        Self(format!("resource \"{kind}\" \"{}\" {{\n", id.terraform_name()))
    }

    /// An argument whose value is an expression already.
    fn argument(mut self, name: &str, expression: impl AsRef<str>) -> Self {
        self.0.push_str(&format!("  {name} = {}\n", expression.as_ref()));
        self
    }

    fn inner(mut self, name: &str, arguments: &[(&str, &str)]) -> Self {
        self.0.push_str(&format!("  {name} {{\n"));
        for (name, expression) in arguments {
            self.0.push_str(&format!("    {name} = {expression}\n"));
        }
        self.0.push_str("  }\n");
        self
    }

    fn end(mut self, tags: &Tags) -> String {
        if !tags.0.is_empty() {
            self.0.push_str("  tags = {\n");
            for (key, value) in &tags.0 {
                self.0.push_str(&format!("    {} = {}\n", text(key), text(value)));
            }
            self.0.push_str("  }\n");
        }
        self.0.push('}');
        self.0
    }
}

fn launch(block: Block, launch: &Launch) -> Block {
    let mut block = block
        .argument("ami", text(launch.image_id.as_str()))
        .argument("instance_type", text(&launch.instance_type))
        .argument("subnet_id", expression(&launch.subnet, "aws_subnet"))
        .argument("vpc_security_group_ids", format!("[{}]", expression(&launch.security_group, "aws_security_group")))
        .argument("associate_public_ip_address", launch.associate_public_ip_address.to_string());
    if let Some(name) = &launch.instance_profile_name {
        block = block.argument("iam_instance_profile", text(name));
    }
    if let Some(key_name) = &launch.key_name {
        block = block.argument("key_name", text(key_name));
    }
    if let Some(script) = &launch.user_data {
        block = block.argument("user_data", text(script));
    }
    block
        .inner("metadata_options", &[("http_tokens", "\"required\""), ("http_put_response_hop_limit", "1")])
        .inner("root_block_device", &[("encrypted", "true"), ("volume_type", "\"gp3\"")])
}

fn route(block: Block, via: &RouteVia) -> Option<Block> {
    Some(match via {
        RouteVia::InternetGateway(gateway) => block.argument("gateway_id", expression(gateway, "aws_internet_gateway")),
        RouteVia::NetworkInterface(eni) => block.argument("network_interface_id", interface(eni)),
        RouteVia::Target(_) => return None,
    })
}

fn ingress(block: Block, rule: &IngressRule) -> Block {
    let mut block = block.argument("ip_protocol", text(&rule.protocol.to_string()));
    if let Some((from, to)) = rule.ports {
        block = block.argument("from_port", from.to_string()).argument("to_port", to.to_string());
    }
    match &rule.peer {
        RulePeer::Ipv4(net) => block.argument("cidr_ipv4", text(&net.to_string())),
        RulePeer::Group(group) => {
            block.argument("referenced_security_group_id", expression(group, "aws_security_group"))
        }
    }
}

impl Step {
    /// The Terraform block that would make the same. `None`: Terraform has none, since the step is a setting of
    /// another block, asks instead of making, or deletes.
    pub fn terraform(&self) -> Option<String> {
        let block = |kind: &str| Block::new(kind, &self.id);
        let vpc = |vpc| expression(vpc, "aws_vpc");
        let block = match &self.call {
            Call::CreateVpc { cidr_block } => block("aws_vpc")
                .argument("cidr_block", text(&cidr_block.to_string()))
                .argument("enable_dns_support", "true")
                .argument("enable_dns_hostnames", "true"),
            Call::CreateInternetGateway => block("aws_internet_gateway"),
            Call::AttachInternetGateway { internet_gateway, vpc: of } => block("aws_internet_gateway_attachment")
                .argument("internet_gateway_id", expression(internet_gateway, "aws_internet_gateway"))
                .argument("vpc_id", vpc(of)),
            Call::CreateSubnet { vpc: of, cidr_block, availability_zone } => {
                let public = self.id.as_str() == "public-subnet";
                let block = block("aws_subnet")
                    .argument("vpc_id", vpc(of))
                    .argument("cidr_block", text(&cidr_block.to_string()))
                    .argument("availability_zone", text(availability_zone));
                if public { block.argument("map_public_ip_on_launch", "true") } else { block }
            }
            Call::CreateRouteTable { vpc: of } => block("aws_route_table").argument("vpc_id", vpc(of)),
            Call::AssociateRouteTable { route_table, subnet } => block("aws_route_table_association")
                .argument("route_table_id", expression(route_table, "aws_route_table"))
                .argument("subnet_id", expression(subnet, "aws_subnet")),
            Call::CreateRoute { route_table, destination, via }
            | Call::ReplaceRoute { route_table, destination, via, .. } => {
                let block = block("aws_route")
                    .argument("route_table_id", expression(route_table, "aws_route_table"))
                    .argument("destination_cidr_block", text(&destination.to_string()));
                route(block, via)?
            }
            Call::CreateSecurityGroup { vpc: of, group_name, description } => block("aws_security_group")
                .argument("vpc_id", vpc(of))
                .argument("name", text(group_name))
                .argument("description", text(description))
                .inner(
                    "egress",
                    &[("from_port", "0"), ("to_port", "0"), ("protocol", "\"-1\""), ("cidr_blocks", "[\"0.0.0.0/0\"]")],
                ),
            Call::AuthorizeSecurityGroupIngress { group, rule } => {
                let block = block("aws_vpc_security_group_ingress_rule")
                    .argument("security_group_id", expression(group, "aws_security_group"));
                ingress(block, rule)
            }
            Call::CreateRole { role_name, assume_role_policy, .. } => block("aws_iam_role")
                .argument("name", text(role_name))
                .argument("assume_role_policy", text(&assume_role_policy.split_whitespace().collect::<String>())),
            Call::AttachRolePolicy { role_name, policy_arn } => block("aws_iam_role_policy_attachment")
                .argument("role", text(role_name))
                .argument("policy_arn", text(policy_arn)),
            Call::CreateInstanceProfile { instance_profile_name } => block("aws_iam_instance_profile")
                .argument("name", text(instance_profile_name))
                .argument("role", text(instance_profile_name)),
            Call::CreateVpcEndpoint { vpc: of, service_name, subnet, security_group } => block("aws_vpc_endpoint")
                .argument("vpc_id", vpc(of))
                .argument("service_name", text(service_name))
                .argument("vpc_endpoint_type", "\"Interface\"")
                .argument("private_dns_enabled", "true")
                .argument("subnet_ids", format!("[{}]", expression(subnet, "aws_subnet")))
                .argument("security_group_ids", format!("[{}]", expression(security_group, "aws_security_group"))),
            Call::RunInstances(wanted) => launch(block("aws_instance"), wanted),
            Call::CreateNetworkInterface { subnet, security_group, description } => block("aws_network_interface")
                .argument("subnet_id", expression(subnet, "aws_subnet"))
                .argument("security_groups", format!("[{}]", expression(security_group, "aws_security_group")))
                .argument("description", text(description))
                .argument("source_dest_check", "false"),
            Call::AttachNetworkInterface { network_interface, instance, device_index } => {
                block("aws_network_interface_attachment")
                    .argument("network_interface_id", interface(network_interface))
                    .argument("instance_id", expression(instance, "aws_instance"))
                    .argument("device_index", device_index.to_string())
            }
            Call::AllocateAddress => block("aws_eip").argument("domain", "\"vpc\""),
            Call::AssociateAddress { address, network_interface } => block("aws_eip_association")
                .argument("allocation_id", expression(address, "aws_eip"))
                .argument("network_interface_id", interface(network_interface)),
            _ => return None,
        };
        Some(block.end(&self.tags))
    }
}
