//! What must go, and in which order, for nothing of a stack to be left. Pure.
//!
//! Everything that carries the stack's tag goes, found by asking AWS and not by trusting a file. What lacks the tag is
//! left, except that a route that leads to something of the stack's is led back or deleted.

use std::collections::BTreeSet;

use crate::model::{
    Instance, InstanceState, Network, NetworkInterface, Part, Peer, Resource, ResourceId, RouteState, RouteTable,
    RouteTarget, SecurityGroup, Tags,
};

use super::marks::Mark;
use super::{
    Blocker, Call, IngressRule, Plan, PlanError, PlanKind, Ref, RouteVia, RulePeer, Step, StepId, StepState,
    default_destination,
};

/// A teardown while it grows.
struct Teardown<'a> {
    stack: &'a str,
    network: &'a Network,
    steps: Vec<Step>,
}

/// The plan after which nothing of `stack` is left. Empty when nothing carries its tag.
///
/// Every kind of resource that a stack can have must be known: what was not seen cannot be said to be gone.
pub fn teardown(stack: &str, network: &Network) -> Result<Plan, PlanError> {
    let mut plan = Teardown { stack, network, steps: Vec::new() };
    plan.routes()?;
    plan.instances()?;
    plan.addresses()?;
    plan.interfaces()?;
    plan.endpoints()?;
    plan.groups()?;
    plan.tables()?;
    plan.subnets()?;
    plan.gateways()?;
    plan.vpcs()?;
    plan.profiles()?;
    let steps = plan.steps;
    let mut blockers = Vec::new();
    for resource in network.resources().filter(|resource| resource.tags().stack() == Some(stack)) {
        for blocker in blockers_of(network, &ResourceId(resource.id().to_owned())) {
            let goes = is_of(network, stack, blocker.resource.as_str());
            if !goes && !blockers.contains(&blocker) {
                blockers.push(blocker);
            }
        }
    }
    Ok(Plan { stack: stack.to_owned(), kind: PlanKind::Teardown, steps, notes: Vec::new(), blockers })
}

/// Whether the resource of this identifier carries the stack's tag, or is the primary interface of an instance that
/// does, or belongs to an endpoint that does.
fn is_of(network: &Network, stack: &str, id: &str) -> bool {
    let tagged = |tags: &Tags| tags.stack() == Some(stack);
    if network.resources().any(|resource| resource.id() == id && tagged(resource.tags())) {
        return true;
    }
    let Some(interface) = network.network_interfaces.shown().get(id) else { return false };
    let of_instance = interface
        .instance_id()
        .and_then(|id| network.instances.shown().get(id.as_str()))
        .is_some_and(|instance| tagged(&instance.tags));
    of_instance
        || (network.vpc_endpoints.shown().values())
            .any(|endpoint| tagged(&endpoint.tags) && endpoint.network_interface_ids.iter().any(|i| i.as_str() == id))
}

impl<'a> Teardown<'a> {
    /// Adds a step that waits for every earlier one whose id begins with one of `waits_for`.
    fn step(&mut self, id: String, title: String, reason: &str, call: Call, waits_for: &[&str]) {
        let waits_for: Vec<StepId> = (self.steps.iter())
            .filter(|step| waits_for.iter().any(|prefix| step.id.as_str().starts_with(prefix)))
            .map(|step| step.id.clone())
            .collect();
        self.steps.push(Step {
            id: StepId::new(id),
            title,
            reason: reason.to_owned(),
            call,
            waits_for,
            tags: Tags::default(),
            state: StepState::ToDo,
            output: None,
        });
    }

    fn is_ours(&self, tags: &Tags) -> bool {
        tags.stack() == Some(self.stack)
    }

    /// What of a part carries the tag.
    fn ours<V, L>(
        &self,
        part: &'a Part<V, L>,
        resource: impl Fn(&'a V) -> Resource<'a>,
    ) -> Result<Vec<&'a V>, PlanError> {
        Ok(part.known()?.values().filter(|item| self.is_ours(resource(item).tags())).collect())
    }

    /// Routes in tables of others: back to where they led, or gone. The stack's own tables go as a whole, but first
    /// their default route, so that no packet is sent to a host that is on its way down.
    fn routes(&mut self) -> Result<(), PlanError> {
        let interfaces: BTreeSet<&str> = (self.network.network_interfaces.known()?.values())
            .filter(|interface| is_of(self.network, self.stack, interface.network_interface_id.as_str()))
            .map(|interface| interface.network_interface_id.as_str())
            .collect();
        let instances: BTreeSet<&str> =
            self.ours(&self.network.instances, Resource::Instance)?.iter().map(|i| i.instance_id.as_str()).collect();
        for table in self.network.route_tables.known()?.values() {
            let marks = Mark::all_of(self.stack, &table.tags);
            for route in &table.routes {
                let destination = match &route.destination {
                    crate::model::RouteDestination::Ipv4(net) => *net,
                    _ => continue,
                };
                let mark = marks.iter().find(|mark| mark.destination == destination);
                let to_ours = match &route.target {
                    RouteTarget::NetworkInterface { network_interface_id, instance_id } => {
                        interfaces.contains(network_interface_id.as_str())
                            || instance_id.as_ref().is_some_and(|id| instances.contains(id.as_str()))
                    }
                    RouteTarget::Instance(id) => instances.contains(id.as_str()),
                    _ => false,
                };
                // A marked route is the stack's, unless somebody has led it elsewhere since.
                let marked = mark.is_some_and(|mark| {
                    mark.previous.as_ref().is_none_or(|previous| previous.to_string() != route.target.to_string())
                        && (route.state == RouteState::Blackhole
                            || matches!(route.target, RouteTarget::InternetGateway(_)))
                });
                if to_ours || marked {
                    self.route(table, destination, mark);
                }
            }
            for mark in &marks {
                let id = format!("unmark-{}-{}", table.route_table_id, slug(mark.destination));
                let resource = ResourceId::from(&table.route_table_id);
                let call = Call::DeleteTags { resource, keys: vec![mark.key()] };
                let title = format!("Remove this stack's note from {}", table.route_table_id);
                let route = format!("route-{}-{}", table.route_table_id, slug(mark.destination));
                self.step(id, title, "The route is as it was before; the note has done its work.", call, &[&route]);
            }
        }
        Ok(())
    }

    fn route(&mut self, table: &RouteTable, destination: ipnet::Ipv4Net, mark: Option<&Mark>) {
        let id = format!("route-{}-{}", table.route_table_id, slug(destination));
        let route_table = Ref::Existing(table.route_table_id.clone());
        match mark.and_then(|mark| mark.previous.clone()) {
            Some(previous) => {
                let title = format!("Lead {destination} of {} back to {previous}", table.route_table_id);
                let via = RouteVia::Target(previous.clone());
                let call = Call::ReplaceRoute { route_table, destination, via, previous };
                self.step(id, title, "That is where it led before this stack.", call, &[]);
            }
            None => {
                let title = format!("Delete the route {destination} of {}", table.route_table_id);
                let why = "It leads to the NAT, which is about to go. First the route, so that nothing is sent to a \
                           host that is on its way down.";
                self.step(id, title, why, Call::DeleteRoute { route_table, destination }, &[]);
            }
        }
    }

    fn instances(&mut self) -> Result<(), PlanError> {
        let alive = |instance: &&&Instance| instance.state != InstanceState::Terminated;
        for instance in self.ours(&self.network.instances, Resource::Instance)?.iter().filter(alive) {
            let id = format!("instance-{}", instance.instance_id);
            let title = format!("Terminate {}", named(instance.instance_id.as_str(), &instance.tags));
            let why = "Its disk and its own interface go with it. AWS lets go of subnet and group only when it is \
                       terminated.";
            let call = Call::TerminateInstances { instance: instance.instance_id.clone() };
            self.step(id, title, why, call, &["route-"]);
        }
        Ok(())
    }

    fn addresses(&mut self) -> Result<(), PlanError> {
        for address in self.ours(&self.network.addresses, Resource::Address)? {
            let mut waits = vec!["route-"];
            let association = format!("association-{}", address.allocation_id);
            if let Some(association_id) = &address.association_id {
                let title = format!("Disassociate the Elastic IP {}", address.public_ip);
                let call = Call::DisassociateAddress { association_id: association_id.clone() };
                self.step(association.clone(), title, "An associated address cannot be released.", call, &["route-"]);
                waits.push(&association);
            }
            let title = format!("Release the Elastic IP {}", address.public_ip);
            let why = "It costs by the hour, used or not. Once released, it cannot be had again.";
            let call = Call::ReleaseAddress { allocation_id: address.allocation_id.clone() };
            self.step(format!("address-{}", address.allocation_id), title, why, call, &waits);
        }
        Ok(())
    }

    /// Interfaces that do not go with their instance.
    fn interfaces(&mut self) -> Result<(), PlanError> {
        let goes_by_itself = |interface: &NetworkInterface| {
            interface.requester_managed
                || interface.attachment.as_ref().is_some_and(|a| a.delete_on_termination && a.instance_id.is_some())
        };
        for interface in self.ours(&self.network.network_interfaces, Resource::NetworkInterface)? {
            if goes_by_itself(interface) {
                continue;
            }
            let eni = &interface.network_interface_id;
            let holder = interface.instance_id().map(|id| format!("instance-{id}"));
            let held_by_ours = holder.as_ref().is_some_and(|id| self.steps.iter().any(|step| step.id.as_str() == *id));
            let detachment = format!("attachment-{eni}");
            if let (Some(attachment), false) = (&interface.attachment, held_by_ours) {
                let call = Call::DetachNetworkInterface {
                    attachment: attachment.attachment_id.clone(),
                    network_interface: eni.clone(),
                };
                let why = "An attached interface cannot be deleted.";
                self.step(detachment.clone(), format!("Detach {eni}"), why, call, &["route-", "association-"]);
            }
            let title = format!("Delete the interface {}", named(eni.as_str(), &interface.tags));
            let why = "It was attached after the start, so it does not go with the instance.";
            let call = Call::DeleteNetworkInterface { network_interface: eni.clone() };
            let holder = holder.unwrap_or_else(|| detachment.clone());
            self.step(format!("interface-{eni}"), title, why, call, &["route-", &detachment, &holder]);
        }
        Ok(())
    }

    fn endpoints(&mut self) -> Result<(), PlanError> {
        use crate::model::EndpointState;
        for endpoint in self.ours(&self.network.vpc_endpoints, Resource::VpcEndpoint)? {
            if endpoint.state == EndpointState::Deleted {
                continue;
            }
            let title = format!("Delete the endpoint for {}", endpoint.service());
            let why = "Its interfaces hold the subnet and the group until they are gone, which takes AWS a while.";
            let call = Call::DeleteVpcEndpoints { vpc_endpoint: endpoint.vpc_endpoint_id.clone() };
            self.step(format!("endpoint-{}", endpoint.vpc_endpoint_id), title, why, call, &[]);
        }
        Ok(())
    }

    fn groups(&mut self) -> Result<(), PlanError> {
        let groups = self.ours(&self.network.security_groups, Resource::SecurityGroup)?;
        // First the stack's rules that name other groups of the stack: AWS deletes no group that a rule names.
        for group in &groups {
            for (number, rule) in group.ingress().enumerate() {
                let Peer::Group(named_group) = &rule.peer else { continue };
                if named_group == &group.group_id || !groups.iter().any(|g| g.group_id == *named_group) {
                    continue;
                }
                let port = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok());
                let call = Call::RevokeSecurityGroupIngress {
                    group: group.group_id.clone(),
                    rule: IngressRule {
                        protocol: rule.protocol,
                        ports: port(rule.from_port).zip(port(rule.to_port)),
                        peer: RulePeer::Group(Ref::Existing(named_group.clone())),
                        description: rule.description.clone().unwrap_or_default(),
                    },
                };
                let title = format!("Revoke the rule of {} that names {named_group}", group.group_name);
                let why = "AWS deletes no group that another group's rule names.";
                self.step(format!("rule-{}-{number}", group.group_id), title, why, call, &["instance-"]);
            }
        }
        for group in groups {
            let title = format!("Delete the security group {}", group.group_name);
            let why = "Nothing uses it any more.";
            let call = Call::DeleteSecurityGroup { group: group.group_id.clone() };
            let waits = ["instance-", "interface-", "endpoint-", "rule-"];
            self.step(format!("group-{}", group.group_id), title, why, call, &waits);
        }
        Ok(())
    }

    fn tables(&mut self) -> Result<(), PlanError> {
        for table in self.ours(&self.network.route_tables, Resource::RouteTable)? {
            let rtb = &table.route_table_id;
            for association in table.associations.iter().filter(|association| !association.main) {
                let subnet = association.subnet_id.as_ref().map_or("its gateway", |id| id.as_str());
                let call = Call::DisassociateRouteTable { association_id: association.association_id.clone() };
                let id = format!("table-association-{}", association.association_id);
                let title = format!("Disassociate {rtb} from {subnet}");
                let why = "A table in use cannot be deleted; the subnet falls back to the VPC's main table.";
                self.step(id, title, why, call, &["instance-", "endpoint-", "route-"]);
            }
            let title = format!("Delete the route table {}", named(rtb.as_str(), &table.tags));
            let call = Call::DeleteRouteTable { route_table: rtb.clone() };
            self.step(format!("table-{rtb}"), title, "No subnet follows it any more.", call, &["table-association-"]);
        }
        Ok(())
    }

    fn subnets(&mut self) -> Result<(), PlanError> {
        for subnet in self.ours(&self.network.subnets, Resource::Subnet)? {
            let title = format!("Delete the subnet {}", named(subnet.subnet_id.as_str(), &subnet.tags));
            let call = Call::DeleteSubnet { subnet: subnet.subnet_id.clone() };
            let waits = ["instance-", "interface-", "endpoint-", "table-association-"];
            self.step(format!("subnet-{}", subnet.subnet_id), title, "No interface is left in it.", call, &waits);
        }
        Ok(())
    }

    fn gateways(&mut self) -> Result<(), PlanError> {
        for gateway in self.ours(&self.network.internet_gateways, Resource::InternetGateway)? {
            let igw = &gateway.internet_gateway_id;
            for attachment in &gateway.attachments {
                let call =
                    Call::DetachInternetGateway { internet_gateway: igw.clone(), vpc: attachment.vpc_id.clone() };
                let title = format!("Detach {igw} from {}", attachment.vpc_id);
                let why = "AWS detaches it only when no public address of the VPC is in use any more.";
                let waits = ["instance-", "association-", "address-", "interface-"];
                self.step(format!("gateway-attachment-{igw}"), title, why, call, &waits);
            }
            let call = Call::DeleteInternetGateway { internet_gateway: igw.clone() };
            let title = format!("Delete the internet gateway {igw}");
            self.step(format!("gateway-{igw}"), title, "It is detached.", call, &["gateway-attachment-"]);
        }
        Ok(())
    }

    fn vpcs(&mut self) -> Result<(), PlanError> {
        for vpc in self.ours(&self.network.vpcs, Resource::Vpc)? {
            let title = format!("Delete the VPC {}", named(vpc.vpc_id.as_str(), &vpc.tags));
            let why = "It is empty. Its main table, default group and default ACL go with it.";
            let call = Call::DeleteVpc { vpc: vpc.vpc_id.clone() };
            let waits = ["subnet-", "gateway-", "group-", "table-", "endpoint-", "interface-"];
            self.step(format!("vpc-{}", vpc.vpc_id), title, why, call, &waits);
        }
        Ok(())
    }

    /// The profile goes last: it is how the role is found again when a teardown is interrupted.
    fn profiles(&mut self) -> Result<(), PlanError> {
        for profile in self.ours(&self.network.instance_profiles, Resource::InstanceProfile)? {
            let name = &profile.name;
            let instance_profile_name = name.clone();
            let removal = format!("role-removal-{name}");
            for role in &profile.roles {
                let call = Call::RemoveRoleFromInstanceProfile {
                    instance_profile_name: instance_profile_name.clone(),
                    role_name: role.name.clone(),
                };
                let title = format!("Take the role {} out of the profile", role.name);
                let why = "A profile that holds a role cannot be deleted, and neither can the role.";
                self.step(removal.clone(), title, why, call, &["instance-"]);
            }
            // The stack's role has the name of its profile. It may be outside of the profile after an interruption.
            let role = profile.roles.iter().find(|role| role.name == *name);
            let policies = match role.map(|role| &role.attached_policies) {
                Some(Some(policies)) => policies.iter().map(|policy| policy.arn.clone()).collect(),
                _ => vec![super::provision::SSM_POLICY.to_owned()],
            };
            if role.is_some() || profile.roles.is_empty() {
                for (number, policy_arn) in policies.into_iter().enumerate() {
                    let title = format!("Detach {}", policy_arn.rsplit('/').next().unwrap_or(&policy_arn));
                    let call = Call::DetachRolePolicy { role_name: name.clone(), policy_arn };
                    let id = format!("role-policy-{name}-{number}");
                    self.step(id, title, "A role with policies cannot be deleted.", call, &["instance-"]);
                }
                let call = Call::DeleteRole { role_name: name.clone() };
                let waits = ["role-removal-", "role-policy-"];
                let why = "Nothing acts as it any more.";
                self.step(format!("role-{name}"), format!("Delete the role {name}"), why, call, &waits);
            }
            let call = Call::DeleteInstanceProfile { instance_profile_name };
            let title = format!("Delete the instance profile {name}");
            self.step(format!("profile-{name}"), title, "It is empty.", call, &["role-", "instance-"]);
        }
        Ok(())
    }
}

/// `0.0.0.0/0` in a form that step ids can have.
fn slug(net: ipnet::Ipv4Net) -> String {
    if net == default_destination() { "default".to_owned() } else { net.to_string().replace(['.', '/'], "-") }
}

/// An identifier with its name, for people.
fn named(id: &str, tags: &Tags) -> String {
    tags.name().map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"))
}

/// What keeps AWS from deleting `resource`, as far as the snapshot shows: AWS's own `DependencyViolation` does not
/// say. Whether those things are the stack's is not asked here.
pub fn blockers_of(network: &Network, resource: &ResourceId) -> Vec<Blocker> {
    let mut found = Vec::new();
    let mut block = |by: &str, why: String, next_move: String| {
        found.push(Blocker { resource: ResourceId(by.to_owned()), blocks: resource.clone(), why, next_move });
    };
    let id = resource.as_str();
    for interface in network.network_interfaces.shown().values() {
        let eni = interface.network_interface_id.as_str();
        let what = match interface.instance_id() {
            Some(instance) => format!("the interface {eni} of {instance}"),
            None if interface.description.is_empty() => format!("the interface {eni}"),
            None => format!("the interface {eni} ({})", interface.description),
        };
        let next_move = match interface.instance_id() {
            Some(instance) => format!("terminate {instance}, or move it elsewhere"),
            None if interface.requester_managed => "delete what AWS made it for".to_owned(),
            None => format!("aws ec2 delete-network-interface --network-interface-id {eni}"),
        };
        if interface.subnet_id.as_str() == id {
            block(eni, format!("{what} lies in the subnet"), next_move);
        } else if interface.security_group_ids.iter().any(|group| group.as_str() == id) {
            block(eni, format!("{what} uses the group"), next_move);
        }
    }
    for group in network.security_groups.shown().values().filter(|group| group.group_id.as_str() != id) {
        let names_it = |group: &SecurityGroup| {
            group.rules.iter().any(|rule| matches!(&rule.peer, Peer::Group(peer) if peer.as_str() == id))
        };
        if names_it(group) {
            let why = format!("a rule of the group {} names it", named(group.group_id.as_str(), &group.tags));
            block(group.group_id.as_str(), why, "revoke that rule".to_owned());
        }
        if group.vpc_id.as_str() == id && group.group_name != "default" {
            let why = format!("the security group {} is in the VPC", group.group_name);
            let next = format!("aws ec2 delete-security-group --group-id {}", group.group_id);
            block(group.group_id.as_str(), why, next);
        }
    }
    for subnet in network.subnets.shown().values().filter(|subnet| subnet.vpc_id.as_str() == id) {
        let next = format!("aws ec2 delete-subnet --subnet-id {}", subnet.subnet_id);
        block(subnet.subnet_id.as_str(), "the subnet is in the VPC".to_owned(), next);
    }
    for table in network.route_tables.shown().values() {
        if table.vpc_id.as_str() == id && !table.is_main() {
            let next = format!("aws ec2 delete-route-table --route-table-id {}", table.route_table_id);
            block(table.route_table_id.as_str(), "the route table is in the VPC".to_owned(), next);
        }
        if table.route_table_id.as_str() == id {
            for subnet in table.subnet_ids() {
                block(subnet.as_str(), "the subnet follows the table".to_owned(), "disassociate it".to_owned());
            }
        }
    }
    for gateway in network.internet_gateways.shown().values() {
        if gateway.attachments.iter().any(|attachment| attachment.vpc_id.as_str() == id) {
            let igw = gateway.internet_gateway_id.as_str();
            let next = format!("aws ec2 detach-internet-gateway --internet-gateway-id {igw} --vpc-id {id}");
            block(igw, "the internet gateway is attached to the VPC".to_owned(), next);
        }
        if gateway.internet_gateway_id.as_str() == id {
            for interface in network.network_interfaces.shown().values() {
                let in_vpc = gateway.attachments.iter().any(|a| a.vpc_id == interface.vpc_id);
                if let (true, Some(ip)) = (in_vpc, interface.public_ip()) {
                    let why = format!("{} has the public address {ip}", interface.network_interface_id);
                    block(interface.network_interface_id.as_str(), why, "take the address away".to_owned());
                }
            }
        }
    }
    for nat in network.nat_gateways.shown().values().filter(|nat| nat.subnet_id.as_str() == id) {
        let next = format!("aws ec2 delete-nat-gateway --nat-gateway-id {}", nat.nat_gateway_id);
        block(nat.nat_gateway_id.as_str(), "the NAT gateway is in the subnet".to_owned(), next);
    }
    for endpoint in network.vpc_endpoints.shown().values().filter(|endpoint| endpoint.vpc_id.as_str() == id) {
        let next = format!("aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {}", endpoint.vpc_endpoint_id);
        block(endpoint.vpc_endpoint_id.as_str(), "the endpoint is in the VPC".to_owned(), next);
    }
    found
}
