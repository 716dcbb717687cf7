//! A step as a line for the aws CLI that can be pasted. Pure.
//!
//! What earlier steps make and is not known yet is a shell variable named after its step (`$NAT_INSTANCE`), and the
//! line of a step that makes something assigns that variable, so that the lines of a plan work one after the other.

use super::{Call, IngressRule, Launch, Outputs, Ref, RepairCall, RouteVia, RulePeer, Step};
use crate::model::{NetworkInterfaceId, RouteTarget, Tags};

/// A word for the shell: as it is where that is safe, else in quotes. Variables stay variables.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if let Some(name) = text.strip_prefix('$')
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return format!("\"{text}\"");
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// One aws command, word by word.
struct Line(String);

impl Line {
    fn new(service: &str, command: &str) -> Self {
        Self(format!("aws {service} {command}"))
    }

    fn option(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.0.push_str(&format!(" --{name} {}", word(value.as_ref())));
        self
    }

    fn flag(mut self, name: &str) -> Self {
        self.0.push_str(&format!(" --{name}"));
        self
    }

    /// Text that is quoted already.
    fn raw(mut self, text: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(text);
        self
    }

    fn tags(self, types: &[&str], tags: &Tags) -> Self {
        if tags.0.is_empty() || types.is_empty() {
            return self;
        }
        let pairs: Vec<String> = tags.0.iter().map(|(key, value)| format!("{{Key={key},Value={value}}}")).collect();
        let list = pairs.join(",");
        types.iter().enumerate().fold(self, |line, (at, kind)| {
            let text = word(&format!("ResourceType={kind},Tags=[{list}]"));
            line.raw(&if at == 0 { format!("--tag-specifications {text}") } else { text })
        })
    }

    /// IAM's form of tags.
    fn iam_tags(self, tags: &Tags) -> Self {
        let pairs: Vec<String> = tags.0.iter().map(|(key, value)| word(&format!("Key={key},Value={value}"))).collect();
        if pairs.is_empty() { self } else { self.raw(&format!("--tags {}", pairs.join(" "))) }
    }
}

/// The interface that a route or an address names: that of the step, or the first one of the step's instance.
fn interface(reference: &Ref<NetworkInterfaceId>, outputs: &Outputs) -> String {
    match (reference.resolve(outputs), reference) {
        (Ok(id), _) => word(id.as_str()),
        (Err(_), Ref::Made(step)) if step.as_str().ends_with("-instance") => format!(
            "\"$(aws ec2 describe-instances --instance-ids \"${}\" --query \
             'Reservations[0].Instances[0].NetworkInterfaces[0].NetworkInterfaceId' --output text)\"",
            step.shell_variable()
        ),
        (Err(_), reference) => word(&reference.shell(outputs)),
    }
}

fn rule(line: Line, rule: &IngressRule, outputs: &Outputs) -> Line {
    let ports = rule.ports.map(|(from, to)| format!("FromPort={from},ToPort={to},")).unwrap_or_default();
    // Double quotes where a variable stands inside.
    let (peer, variable) = match &rule.peer {
        RulePeer::Ipv4(net) => (format!("IpRanges=[{{CidrIp={net}}}]"), false),
        RulePeer::Group(group) => {
            let group = group.shell(outputs);
            (format!("UserIdGroupPairs=[{{GroupId={group}}}]"), group.starts_with('$'))
        }
    };
    let text = format!("IpProtocol={},{ports}{peer}", rule.protocol);
    line.raw(&format!("--ip-permissions {}", if variable { format!("\"{text}\"") } else { word(&text) }))
}

fn via(line: Line, via: &RouteVia, outputs: &Outputs) -> Line {
    match via {
        RouteVia::InternetGateway(gateway) => line.option("gateway-id", gateway.shell(outputs)),
        RouteVia::NetworkInterface(eni) => line.raw(&format!("--network-interface-id {}", interface(eni, outputs))),
        RouteVia::Target(target) => {
            let option = match target {
                RouteTarget::NatGateway(_) => "nat-gateway-id",
                RouteTarget::NetworkInterface { .. } => "network-interface-id",
                RouteTarget::Instance(_) => "instance-id",
                RouteTarget::TransitGateway(_) => "transit-gateway-id",
                RouteTarget::VpcPeeringConnection(_) => "vpc-peering-connection-id",
                RouteTarget::EgressOnlyInternetGateway(_) => "egress-only-internet-gateway-id",
                RouteTarget::LocalGateway(_) => "local-gateway-id",
                RouteTarget::CarrierGateway(_) => "carrier-gateway-id",
                RouteTarget::CoreNetwork(_) => "core-network-arn",
                RouteTarget::GatewayEndpoint(_) => "vpc-endpoint-id",
                _ => "gateway-id",
            };
            line.option(option, target.to_string())
        }
    }
}

fn launch(launch: &Launch, tags: &Tags, types: &[&str], outputs: &Outputs) -> Line {
    let mut line = Line::new("ec2", "run-instances")
        .option("image-id", launch.image_id.as_str())
        .option("instance-type", &launch.instance_type)
        .option("count", "1")
        .option("subnet-id", launch.subnet.shell(outputs))
        .option("security-group-ids", launch.security_group.shell(outputs))
        .flag(match launch.associate_public_ip_address {
            true => "associate-public-ip-address",
            false => "no-associate-public-ip-address",
        })
        .option("metadata-options", "HttpTokens=required,HttpPutResponseHopLimit=1,HttpEndpoint=enabled");
    let disk = r#"[{"DeviceName":"/dev/xvda","Ebs":{"Encrypted":true,"VolumeType":"gp3","DeleteOnTermination":true}}]"#;
    line = line.option("block-device-mappings", disk);
    if let Some(name) = &launch.instance_profile_name {
        line = line.option("iam-instance-profile", format!("Name={name}"));
    }
    if let Some(key_name) = &launch.key_name {
        line = line.option("key-name", key_name);
    }
    if let Some(script) = &launch.user_data {
        // The script itself, which the CLI encodes.
        line = line.option("user-data", script);
    }
    line.tags(types, tags)
}

/// The CLI's `--query` for what a step makes.
fn query(call: &Call) -> Option<&'static str> {
    Some(match call {
        Call::CreateVpc { .. } => "Vpc.VpcId",
        Call::CreateInternetGateway => "InternetGateway.InternetGatewayId",
        Call::CreateSubnet { .. } => "Subnet.SubnetId",
        Call::CreateRouteTable { .. } => "RouteTable.RouteTableId",
        Call::CreateSecurityGroup { .. } => "GroupId",
        Call::CreateVpcEndpoint { .. } => "VpcEndpoint.VpcEndpointId",
        Call::RunInstances(_) => "Instances[0].InstanceId",
        Call::CreateNetworkInterface { .. } => "NetworkInterface.NetworkInterfaceId",
        Call::AllocateAddress => "AllocationId",
        _ => return None,
    })
}

impl Step {
    /// The step as a line for the aws CLI, complete and quoted. `outputs` are what exists by now.
    pub fn aws_cli(&self, outputs: &Outputs) -> String {
        let line = self.command(outputs).0;
        match query(&self.call) {
            // What exists already has an identifier: nothing is left to assign.
            Some(query) if !self.is_done() && !outputs.contains_key(self.id.as_str()) => {
                format!("{}=$({line} --query {} --output text)", self.id.shell_variable(), word(query))
            }
            _ => line,
        }
    }

    fn command(&self, outputs: &Outputs) -> Line {
        let types = self.call.tag_resource_types();
        let ec2 = |command: &str| Line::new("ec2", command);
        let iam = |command: &str| Line::new("iam", command);
        match &self.call {
            Call::CreateVpc { cidr_block } => {
                ec2("create-vpc").option("cidr-block", cidr_block.to_string()).tags(types, &self.tags)
            }
            Call::ModifyVpcAttribute { vpc, attribute, value } => {
                let option = match attribute {
                    super::VpcAttribute::EnableDnsSupport => "enable-dns-support",
                    super::VpcAttribute::EnableDnsHostnames => "enable-dns-hostnames",
                };
                let value = format!(r#"{{"Value":{value}}}"#);
                ec2("modify-vpc-attribute").option("vpc-id", vpc.shell(outputs)).option(option, value)
            }
            Call::CreateInternetGateway => ec2("create-internet-gateway").tags(types, &self.tags),
            Call::AttachInternetGateway { internet_gateway, vpc } => ec2("attach-internet-gateway")
                .option("internet-gateway-id", internet_gateway.shell(outputs))
                .option("vpc-id", vpc.shell(outputs)),
            Call::CreateSubnet { vpc, cidr_block, availability_zone } => ec2("create-subnet")
                .option("vpc-id", vpc.shell(outputs))
                .option("cidr-block", cidr_block.to_string())
                .option("availability-zone", availability_zone)
                .tags(types, &self.tags),
            Call::ModifySubnetAttribute { subnet, map_public_ip_on_launch } => ec2("modify-subnet-attribute")
                .option("subnet-id", subnet.shell(outputs))
                .flag(if *map_public_ip_on_launch { "map-public-ip-on-launch" } else { "no-map-public-ip-on-launch" }),
            Call::CreateRouteTable { vpc } => {
                ec2("create-route-table").option("vpc-id", vpc.shell(outputs)).tags(types, &self.tags)
            }
            Call::AssociateRouteTable { route_table, subnet } => ec2("associate-route-table")
                .option("route-table-id", route_table.shell(outputs))
                .option("subnet-id", subnet.shell(outputs)),
            Call::CreateRoute { route_table, destination, via: to } => {
                let line = ec2("create-route")
                    .option("route-table-id", route_table.shell(outputs))
                    .option("destination-cidr-block", destination.to_string());
                via(line, to, outputs)
            }
            Call::ReplaceRoute { route_table, destination, via: to, .. } => {
                let line = ec2("replace-route")
                    .option("route-table-id", route_table.shell(outputs))
                    .option("destination-cidr-block", destination.to_string());
                via(line, to, outputs)
            }
            Call::CreateSecurityGroup { vpc, group_name, description } => ec2("create-security-group")
                .option("vpc-id", vpc.shell(outputs))
                .option("group-name", group_name)
                .option("description", description)
                .tags(types, &self.tags),
            Call::AuthorizeSecurityGroupIngress { group, rule: wanted } => {
                let line = ec2("authorize-security-group-ingress").option("group-id", group.shell(outputs));
                rule(line, wanted, outputs)
            }
            Call::CreateRole { role_name, description, assume_role_policy } => {
                let policy = assume_role_policy.split_whitespace().collect::<Vec<_>>().join(" ");
                iam("create-role")
                    .option("role-name", role_name)
                    .option("description", description)
                    .option("assume-role-policy-document", policy)
                    .iam_tags(&self.tags)
            }
            Call::AttachRolePolicy { role_name, policy_arn } => {
                iam("attach-role-policy").option("role-name", role_name).option("policy-arn", policy_arn)
            }
            Call::CreateInstanceProfile { instance_profile_name } => iam("create-instance-profile")
                .option("instance-profile-name", instance_profile_name)
                .iam_tags(&self.tags),
            Call::AddRoleToInstanceProfile { instance_profile_name, role_name } => iam("add-role-to-instance-profile")
                .option("instance-profile-name", instance_profile_name)
                .option("role-name", role_name),
            Call::CreateVpcEndpoint { vpc, service_name, subnet, security_group } => ec2("create-vpc-endpoint")
                .option("vpc-endpoint-type", "Interface")
                .option("vpc-id", vpc.shell(outputs))
                .option("service-name", service_name)
                .option("subnet-ids", subnet.shell(outputs))
                .option("security-group-ids", security_group.shell(outputs))
                .flag("private-dns-enabled")
                .tags(types, &self.tags),
            Call::RunInstances(wanted) => launch(wanted, &self.tags, types, outputs),
            Call::CreateNetworkInterface { subnet, security_group, description } => ec2("create-network-interface")
                .option("subnet-id", subnet.shell(outputs))
                .option("groups", security_group.shell(outputs))
                .option("description", description)
                .tags(types, &self.tags),
            Call::ModifyNetworkInterfaceAttribute { network_interface, source_dest_check } => {
                ec2("modify-network-interface-attribute")
                    .raw(&format!("--network-interface-id {}", interface(network_interface, outputs)))
                    .flag(if *source_dest_check { "source-dest-check" } else { "no-source-dest-check" })
            }
            Call::AttachNetworkInterface { network_interface, instance, device_index } => {
                ec2("attach-network-interface")
                    .raw(&format!("--network-interface-id {}", interface(network_interface, outputs)))
                    .option("instance-id", instance.shell(outputs))
                    .option("device-index", device_index.to_string())
            }
            Call::AllocateAddress => ec2("allocate-address").option("domain", "vpc").tags(types, &self.tags),
            Call::AssociateAddress { address, network_interface } => ec2("associate-address")
                .option("allocation-id", address.shell(outputs))
                .raw(&format!("--network-interface-id {}", interface(network_interface, outputs))),
            Call::CreateTags { resource, tags } => {
                ec2("create-tags").option("resources", resource.as_str()).iam_tags(tags)
            }
            Call::VerifyHost { instance } => send("cloud-init status --wait --long", &[instance.shell(outputs)]),
            Call::CheckEgress { instances, .. } => {
                let instances: Vec<String> = instances.iter().map(|instance| instance.shell(outputs)).collect();
                send("curl https://api.ipify.org", &instances)
            }
            _ => self.removal(outputs),
        }
    }

    /// What teardown does.
    fn removal(&self, outputs: &Outputs) -> Line {
        let ec2 = |command: &str| Line::new("ec2", command);
        let iam = |command: &str| Line::new("iam", command);
        match &self.call {
            Call::DeleteRoute { route_table, destination } => ec2("delete-route")
                .option("route-table-id", route_table.shell(outputs))
                .option("destination-cidr-block", destination.to_string()),
            Call::TerminateInstances { instance } => {
                ec2("terminate-instances").option("instance-ids", instance.as_str())
            }
            Call::DetachNetworkInterface { attachment, .. } => {
                ec2("detach-network-interface").option("attachment-id", attachment.as_str())
            }
            Call::DeleteNetworkInterface { network_interface } => {
                ec2("delete-network-interface").option("network-interface-id", network_interface.as_str())
            }
            Call::DisassociateAddress { association_id } => {
                ec2("disassociate-address").option("association-id", association_id)
            }
            Call::ReleaseAddress { allocation_id } => {
                ec2("release-address").option("allocation-id", allocation_id.as_str())
            }
            Call::DeleteVpcEndpoints { vpc_endpoint } => {
                ec2("delete-vpc-endpoints").option("vpc-endpoint-ids", vpc_endpoint.as_str())
            }
            Call::RevokeSecurityGroupIngress { group, rule: wanted } => {
                rule(ec2("revoke-security-group-ingress").option("group-id", group.as_str()), wanted, outputs)
            }
            Call::DeleteSecurityGroup { group } => ec2("delete-security-group").option("group-id", group.as_str()),
            Call::DisassociateRouteTable { association_id } => {
                ec2("disassociate-route-table").option("association-id", association_id.as_str())
            }
            Call::DeleteRouteTable { route_table } => {
                ec2("delete-route-table").option("route-table-id", route_table.as_str())
            }
            Call::DeleteSubnet { subnet } => ec2("delete-subnet").option("subnet-id", subnet.as_str()),
            Call::DetachInternetGateway { internet_gateway, vpc } => ec2("detach-internet-gateway")
                .option("internet-gateway-id", internet_gateway.as_str())
                .option("vpc-id", vpc.as_str()),
            Call::DeleteInternetGateway { internet_gateway } => {
                ec2("delete-internet-gateway").option("internet-gateway-id", internet_gateway.as_str())
            }
            Call::DeleteVpc { vpc } => ec2("delete-vpc").option("vpc-id", vpc.as_str()),
            Call::RemoveRoleFromInstanceProfile { instance_profile_name, role_name } => {
                iam("remove-role-from-instance-profile")
                    .option("instance-profile-name", instance_profile_name)
                    .option("role-name", role_name)
            }
            Call::DetachRolePolicy { role_name, policy_arn } => {
                iam("detach-role-policy").option("role-name", role_name).option("policy-arn", policy_arn)
            }
            Call::DeleteInstanceProfile { instance_profile_name } => {
                iam("delete-instance-profile").option("instance-profile-name", instance_profile_name)
            }
            Call::DeleteRole { role_name } => iam("delete-role").option("role-name", role_name),
            Call::DeleteTags { resource, keys } => {
                let keys: Vec<String> = keys.iter().map(|key| word(&format!("Key={key}"))).collect();
                ec2("delete-tags").option("resources", resource.as_str()).raw(&format!("--tags {}", keys.join(" ")))
            }
            Call::Repair(repair) => repair_line(repair, outputs),
            // Everything else is among the provisioning calls.
            other => Line::new(other.service(), other.operation()),
        }
    }
}

/// What only repairs do.
fn repair_line(repair: &RepairCall, outputs: &Outputs) -> Line {
    let ec2 = |command: &str| Line::new("ec2", command);
    match repair {
        RepairCall::StartInstances { instance } => ec2("start-instances").option("instance-ids", instance.as_str()),
        RepairCall::RebootInstances { instance } => ec2("reboot-instances").option("instance-ids", instance.as_str()),
        RepairCall::AuthorizeSecurityGroupEgress { group, rule: wanted } => {
            rule(ec2("authorize-security-group-egress").option("group-id", group.as_str()), wanted, outputs)
        }
        RepairCall::CreateBlockPublicAccessExclusion { subnet } => ec2("create-vpc-block-public-access-exclusion")
            .option("internet-gateway-exclusion-mode", "allow-bidirectional")
            .option("subnet-id", subnet.as_str()),
        RepairCall::CreateNetworkAclEntry { network_acl, entry } => {
            let mut line = ec2("create-network-acl-entry")
                .option("network-acl-id", network_acl.as_str())
                .flag(super::repair::direction_flag(entry.direction))
                .option("rule-number", entry.rule_number.to_string())
                .option("protocol", entry.protocol.to_string())
                .option("rule-action", "allow");
            line = match (entry.cidr_block, entry.ipv6_cidr_block) {
                (Some(net), _) => line.option("cidr-block", net.to_string()),
                (None, Some(net)) => line.option("ipv6-cidr-block", net.to_string()),
                (None, None) => line,
            };
            match (entry.port_range, entry.icmp_type_code) {
                (Some((from, to)), _) => line.option("port-range", format!("From={from},To={to}")),
                (None, Some((kind, code))) => line.option("icmp-type-code", format!("Type={kind},Code={code}")),
                (None, None) => line,
            }
        }
        RepairCall::MoveAddress { allocation_id, network_interface, .. } => ec2("associate-address")
            .option("allocation-id", allocation_id.as_str())
            .option("network-interface-id", network_interface.as_str())
            .flag("allow-reassociation"),
        RepairCall::DeleteRoute { route_table, destination, .. } => ec2("delete-route")
            .option("route-table-id", route_table.as_str())
            .option("destination-cidr-block", destination.to_string()),
        RepairCall::RunOnHost { instance, script, .. } => Line::new("ssm", "send-command")
            .option("document-name", "AWS-RunShellScript")
            .option("instance-ids", instance.as_str())
            .option("parameters", serde_json::json!({ "commands": [script] }).to_string()),
    }
}

/// A command for hosts, through SSM.
fn send(command: &str, instances: &[String]) -> Line {
    let ids: Vec<String> = instances.iter().map(|id| word(id)).collect();
    Line::new("ssm", "send-command")
        .option("document-name", "AWS-RunShellScript")
        .raw(&format!("--instance-ids {}", ids.join(" ")))
        .option("parameters", format!(r#"{{"commands":["{command}"]}}"#))
}
