//! The article's draft: VPC, gateway, subnets, tables, SSM and private instances. Pure.

use ipnet::Ipv4Net;

use super::draft::{Draft, Text, instance_output, is_alive, text};
use super::{Inputs, PlanError};
use crate::model::{
    EndpointState, Instance, InternetGateway, Protocol, Resource, ResourceId, RouteTable, RouteTarget, Subnet,
    SubnetId, Unknown, Vpc, VpcId,
};
use crate::plan::marks::Mark;
use crate::plan::spec::overlap;
use crate::plan::{
    Call, IngressRule, Launch, Output, Ref, RouteVia, RulePeer, VpcAttribute, default_destination, trust_policy,
};

/// The policy that lets SSM's agent talk to SSM.
pub(crate) const SSM_POLICY: &str = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
/// SSM's endpoints. The last is for agents older than 3.3.40.0.
const ENDPOINTS: [&str; 3] = ["ssm", "ssmmessages", "ec2messages"];

/// What the NAT's part of the plan builds on.
pub(super) struct Environment<'a> {
    pub(super) vpc: Option<&'a Vpc>,
    /// Step ids of the private instances.
    pub(super) clients: Vec<String>,
    /// The private instances that exist.
    pub(super) instances: Vec<&'a Instance>,
    pub(super) private_table: Option<&'a RouteTable>,
    pub(super) profile_name: String,
}

/// Plans everything that the article has before its NAT.
pub(super) fn environment<'a>(draft: &mut Draft<'a>, inputs: &Inputs) -> Result<Environment<'a>, PlanError> {
    let vpc = find_vpc(draft)?;
    plan_vpc(draft, vpc)?;
    let gateway = plan_gateway(draft, vpc)?;
    let public = find_subnet(draft, vpc, "public-subnet", "public_subnet_cidr", draft.spec.public_subnet_cidr)?;
    let private = find_subnet(draft, vpc, "private-subnet", "private_subnet_cidr", draft.spec.private_subnet_cidr)?;
    let zone = zone(draft, public, private, inputs)?;
    plan_subnet(draft, "public-subnet", draft.spec.public_subnet_cidr, &zone, public);
    if public.is_none_or(|subnet| draft.is_ours(&subnet.tags, "public-subnet")) {
        let on = public.is_some_and(|subnet| subnet.map_public_ip_on_launch);
        let call = Call::ModifySubnetAttribute { subnet: draft.made("public-subnet"), map_public_ip_on_launch: true };
        let why = "What starts in the public subnet gets a public address, as in the article; without one nothing \
                   there can use the internet gateway.";
        let title = "Give instances in the public subnet public addresses";
        draft.step("public-subnet-addresses", text(title, why), call, &["public-subnet"], on.then_some(Output::None));
    }
    plan_public_table(draft, vpc, public, gateway)?;
    plan_subnet(draft, "private-subnet", draft.spec.private_subnet_cidr, &zone, private);
    let private_table = plan_private_table(draft, vpc, public, private)?;
    let instances = find_instances(draft, private)?;
    let profile_name = plan_profile(draft, &instances)?;
    let clients = plan_private_side(draft, vpc, private, &instances, &profile_name, inputs)?;
    Ok(Environment { vpc, clients, instances, private_table, profile_name })
}

/// The VPC to use: the stack's, the one that the spec names, the one that the stack's NAT is in, the one of that
/// range. `None`: a new one.
fn find_vpc<'a>(draft: &Draft<'a>) -> Result<Option<&'a Vpc>, PlanError> {
    let vpcs = draft.network.vpcs.known()?;
    let named = match &draft.spec.vpc_id {
        Some(vpc_id) => Some(vpcs.get(vpc_id.as_str()).ok_or_else(|| PlanError::NoVpc { vpc_id: vpc_id.clone() })?),
        None => None,
    };
    if let Some(ours) = draft.ours(vpcs, "vpc", Resource::Vpc) {
        return match named {
            Some(named) if named.vpc_id != ours.vpc_id => Err(PlanError::Conflict {
                resource: ResourceId::from(&ours.vpc_id),
                why: format!("stack '{}' has its own VPC, and the spec names {}", draft.spec.name, named.vpc_id),
                next_move: "give the new stack another name, or remove vpc_id".to_owned(),
            }),
            _ => Ok(Some(ours)),
        };
    }
    if named.is_some() {
        return Ok(named);
    }
    let groups = draft.network.security_groups.known()?;
    if let Some(group) = groups.values().find(|group| draft.is_of_stack(&group.tags)) {
        return Ok(vpcs.get(group.vpc_id.as_str()));
    }
    let fits = |vpc: &&Vpc| {
        vpc.cidr_blocks.contains(&draft.spec.vpc_cidr) && vpc.tags.stack().is_none_or(|s| s == draft.spec.name)
    };
    let mut candidates = vpcs.values().filter(fits);
    match (candidates.next(), candidates.next()) {
        (first, None) => Ok(first),
        _ => Err(PlanError::SeveralVpcs {
            cidr: draft.spec.vpc_cidr.to_string(),
            ids: vpcs.values().filter(fits).map(|vpc| vpc.vpc_id.clone()).collect(),
        }),
    }
}

fn plan_vpc(draft: &mut Draft<'_>, vpc: Option<&Vpc>) -> Result<(), PlanError> {
    let cidr_block = draft.spec.vpc_cidr;
    let shown = vpc.and_then(|vpc| vpc.cidr_blocks.first().copied()).unwrap_or(cidr_block);
    let why = "The network that everything else lives in. Its range must hold both subnets.";
    let exists = vpc.map(|vpc| Output::Vpc(vpc.vpc_id.clone()));
    draft.step("vpc", text(format!("Create the VPC {shown}"), why), Call::CreateVpc { cidr_block: shown }, &[], exists);
    let attributes = [
        (
            "vpc-dns-support",
            VpcAttribute::EnableDnsSupport,
            vpc.map(|vpc| vpc.dns_support),
            "Switch on the VPC's DNS resolver",
            "Private instances resolve names through it, before and without any egress.",
        ),
        (
            "vpc-dns-hostnames",
            VpcAttribute::EnableDnsHostnames,
            vpc.map(|vpc| vpc.dns_hostnames),
            "Switch on DNS host names",
            "The private DNS names of the SSM endpoints work only with this on; it is off in a new VPC.",
        ),
    ];
    for (id, attribute, is, title, why) in attributes {
        let on = match (is, vpc) {
            (None, _) => false,
            (Some(Some(on)), _) => on,
            (Some(None), vpc) => {
                let what = format!("{attribute} of {}", vpc.map_or("the VPC", |vpc| vpc.vpc_id.as_str()));
                return Err(PlanError::Unknown(Unknown::new(what, "DescribeVpcAttribute gave no answer")));
            }
        };
        if !on && vpc.is_some_and(|vpc| !draft.is_of_stack(&vpc.tags)) {
            draft.notes.push(format!("{attribute} is switched on in a VPC that is not this stack's, and stays on."));
        }
        let call = Call::ModifyVpcAttribute { vpc: draft.made("vpc"), attribute, value: true };
        draft.step(id, text(title, why), call, &["vpc"], on.then_some(Output::None));
    }
    Ok(())
}

fn plan_gateway<'a>(draft: &mut Draft<'a>, vpc: Option<&Vpc>) -> Result<Option<&'a InternetGateway>, PlanError> {
    let gateways = draft.network.internet_gateways.known()?;
    let attached = vpc.and_then(|vpc| gateways.values().find(|gateway| gateway.is_attached_to(&vpc.vpc_id)));
    let gateway = attached.or_else(|| draft.ours(gateways, "internet-gateway", Resource::InternetGateway));
    let why = "The VPC's door to the internet. What uses it needs a route to it and a public address.";
    let exists = gateway.map(|gateway| Output::InternetGateway(gateway.internet_gateway_id.clone()));
    draft.step("internet-gateway", text("Create an internet gateway", why), Call::CreateInternetGateway, &[], exists);
    let call = Call::AttachInternetGateway { internet_gateway: draft.made("internet-gateway"), vpc: draft.made("vpc") };
    let why = "A gateway works for one VPC at a time; until it is attached, no route can name it.";
    let exists = attached.map(|_| Output::None);
    let waits = ["vpc", "internet-gateway"];
    draft.step("gateway-attachment", text("Attach the gateway to the VPC", why), call, &waits, exists);
    Ok(gateway)
}

/// The subnet of that range. An existing one that merely overlaps is an error.
fn find_subnet<'a>(
    draft: &Draft<'a>,
    vpc: Option<&Vpc>,
    id: &str,
    field: &'static str,
    cidr: Ipv4Net,
) -> Result<Option<&'a Subnet>, PlanError> {
    let Some(vpc) = vpc else { return Ok(None) };
    let subnets = draft.network.subnets.known()?;
    let within = || subnets.values().filter(|subnet| subnet.vpc_id == vpc.vpc_id);
    let ours = within().find(|subnet| draft.is_ours(&subnet.tags, id));
    if let Some(ours) = ours
        && ours.cidr_block != Some(cidr)
    {
        let is = ours.cidr_block.map_or_else(|| "another range".to_owned(), |net| net.to_string());
        return Err(PlanError::Conflict {
            resource: ResourceId::from(&ours.subnet_id),
            why: format!("stack '{}' has it with {is}, and {field} says {cidr}", draft.spec.name),
            next_move: "a subnet's range cannot change: destroy the stack first, or keep the range".to_owned(),
        });
    }
    if let Some(subnet) = ours.or_else(|| within().find(|subnet| subnet.cidr_block == Some(cidr))) {
        return Ok(Some(subnet));
    }
    for other in within() {
        if let Some(with_cidr) = other.cidr_block.filter(|net| overlap(*net, cidr)) {
            let (cidr, with_cidr) = (cidr.to_string(), with_cidr.to_string());
            return Err(PlanError::Overlap { field, cidr, with: ResourceId::from(&other.subnet_id), with_cidr });
        }
    }
    if !vpc.cidr_blocks.iter().any(|block| block.contains(&cidr)) {
        let ranges = vpc.cidr_blocks.iter().map(ToString::to_string).collect();
        return Err(PlanError::OutsideVpc { field, cidr: cidr.to_string(), vpc_id: vpc.vpc_id.clone(), ranges });
    }
    Ok(None)
}

/// The zone of both subnets.
fn zone(
    draft: &mut Draft<'_>,
    public: Option<&Subnet>,
    private: Option<&Subnet>,
    inputs: &Inputs,
) -> Result<String, PlanError> {
    let spec = draft.spec;
    if let (Some(public), Some(private)) = (public, private)
        && public.availability_zone != private.availability_zone
    {
        if spec.topology.interfaces() > 1 {
            return Err(PlanError::OtherZone {
                subnet: ResourceId::from(&private.subnet_id),
                is: private.availability_zone.clone(),
                wanted: public.availability_zone.clone(),
                why: "an interface can be attached only within its zone".to_owned(),
                next_move: "use topology single_interface, or a public subnet in the same zone".to_owned(),
            });
        }
        draft.notes.push(format!(
            "The NAT is in {} and the private subnet in {}: every byte between them is charged, and each zone's \
             failure cuts the egress.",
            public.availability_zone, private.availability_zone
        ));
        return Ok(public.availability_zone.clone());
    }
    if let Some(subnet) = public.or(private) {
        if let Some(wanted) = spec.zone.as_ref().filter(|zone| **zone != subnet.availability_zone) {
            return Err(PlanError::OtherZone {
                subnet: ResourceId::from(&subnet.subnet_id),
                is: subnet.availability_zone.clone(),
                wanted: wanted.clone(),
                why: "a subnet stays in its zone".to_owned(),
                next_move: "remove zone, or choose other ranges".to_owned(),
            });
        }
        return Ok(subnet.availability_zone.clone());
    }
    spec.zone.clone().or_else(|| inputs.zones.first().cloned()).ok_or(PlanError::NoZone)
}

fn plan_subnet(draft: &mut Draft<'_>, id: &str, cidr_block: Ipv4Net, zone: &str, subnet: Option<&Subnet>) {
    let zone = subnet.map_or(zone, |subnet| &subnet.availability_zone);
    let call = Call::CreateSubnet { vpc: draft.made("vpc"), cidr_block, availability_zone: zone.to_owned() };
    let (which, why) = match id {
        "public-subnet" => ("public", "The NAT instance lives here, where a route leads to the internet gateway."),
        _ => ("private", "Its instances get no public address: nothing outside can begin a connection to them."),
    };
    let exists = subnet.map(|subnet| Output::Subnet(subnet.subnet_id.clone()));
    draft.step(id, text(format!("Create the {which} subnet {cidr_block} in {zone}"), why), call, &["vpc"], exists);
}

/// The table that is explicitly associated with a subnet.
fn explicit_table<'a>(draft: &Draft<'a>, subnet: Option<&Subnet>) -> Result<Option<&'a RouteTable>, PlanError> {
    let Some(subnet) = subnet else { return Ok(None) };
    let tables = draft.network.route_tables.known()?;
    Ok(tables.values().find(|table| table.subnet_ids().any(|id| *id == subnet.subnet_id)))
}

/// Plans a table and its association with a subnet. Returns the table that exists.
fn plan_table<'a>(
    draft: &mut Draft<'a>,
    subnet: Option<&Subnet>,
    ids: (&str, &str, &str),
    texts: (Text, Text),
) -> Result<Option<&'a RouteTable>, PlanError> {
    let (table_id, subnet_id, association_id) = ids;
    let associated = explicit_table(draft, subnet)?;
    let tables = draft.network.route_tables.known()?;
    let table = associated.or_else(|| draft.ours(tables, table_id, Resource::RouteTable));
    let exists = table.map(|table| Output::RouteTable(table.route_table_id.clone()));
    draft.step(table_id, texts.0, Call::CreateRouteTable { vpc: draft.made("vpc") }, &["vpc"], exists);
    let association = associated.zip(subnet).and_then(|(table, subnet)| {
        table.associations.iter().find(|association| association.subnet_id.as_ref() == Some(&subnet.subnet_id))
    });
    let exists = association.map(|found| Output::RouteTableAssociation(found.association_id.clone()));
    let call = Call::AssociateRouteTable { route_table: draft.made(table_id), subnet: draft.made(subnet_id) };
    draft.step(association_id, texts.1, call, &[table_id, subnet_id], exists);
    Ok(table)
}

fn plan_public_table(
    draft: &mut Draft<'_>,
    vpc: Option<&Vpc>,
    public: Option<&Subnet>,
    gateway: Option<&InternetGateway>,
) -> Result<(), PlanError> {
    let by_gateway = |table: &RouteTable| match table.default_route().map(|route| &route.target) {
        Some(RouteTarget::InternetGateway(id)) => gateway.is_some_and(|g| g.internet_gateway_id == *id),
        _ => false,
    };
    // A default VPC's public subnets use its main table: that is as good.
    let applying = match (public, vpc) {
        (Some(public), Some(vpc)) => draft.network.route_table_of(&public.subnet_id, &vpc.vpc_id)?,
        _ => None,
    };
    let table = if let Some(main) = applying.filter(|table| table.is_main() && by_gateway(table)) {
        let why = "The main table applies to the public subnet and leads to the internet gateway already.";
        let exists = Some(Output::RouteTable(main.route_table_id.clone()));
        let call = Call::CreateRouteTable { vpc: draft.made("vpc") };
        draft.step("public-table", text("Create the public route table", why), call, &["vpc"], exists);
        Some(main)
    } else {
        let texts = (
            text(
                "Create the public route table",
                "A table of its own, so that its route to the internet gateway applies to this subnet only.",
            ),
            text(
                "Associate the public table with the public subnet",
                "Without an association of its own, a subnet follows the VPC's main table.",
            ),
        );
        plan_table(draft, public, ("public-table", "public-subnet", "public-table-association"), texts)?
    };
    let done = match table.and_then(|table| Some((table, table.default_route()?))) {
        None => false,
        Some((table, _)) if by_gateway(table) => true,
        Some((table, route)) => {
            return Err(PlanError::Conflict {
                resource: ResourceId::from(&table.route_table_id),
                why: format!(
                    "it applies to the public subnet and sends 0.0.0.0/0 to {}, not to the VPC's internet gateway",
                    route.target
                ),
                next_move: "choose a public_subnet_cidr whose table leads to the internet gateway, or a free one"
                    .to_owned(),
            });
        }
    };
    let via = RouteVia::InternetGateway(draft.made("internet-gateway"));
    let why = "This route is what makes the subnet public: the NAT's own way out.";
    let title = text("Route 0.0.0.0/0 of the public subnet to the internet gateway", why);
    mark(draft, "public-route-mark", "public-table", table, done, None);
    let destination = default_destination();
    let call = Call::CreateRoute { route_table: draft.made("public-table"), destination, via };
    let waits = ["public-table", "gateway-attachment", "public-route-mark"];
    draft.step("public-default-route", title, call, &waits, done.then_some(Output::None));
    Ok(())
}

/// Plans the mark on a table that is not the stack's, when a route in it is going to be the stack's.
pub(super) fn mark(
    draft: &mut Draft<'_>,
    id: &str,
    table_id: &str,
    table: Option<&RouteTable>,
    route_done: bool,
    previous: Option<RouteTarget>,
) {
    let Some(table) = table.filter(|table| !draft.is_of_stack(&table.tags)) else { return };
    let destination = default_destination();
    let marked = Mark::of(&draft.spec.name, &table.tags, destination);
    if marked.is_none() && route_done {
        return;
    }
    let tags = Mark { destination, previous }.tags(&draft.spec.name);
    let title = format!("Note on {} that its default route is this stack's", table.route_table_id);
    let why = "A route carries no tags. The table notes whose it is and where it led before, so that teardown can put \
               it back by asking AWS alone.";
    let call = Call::CreateTags { resource: ResourceId::from(&table.route_table_id), tags };
    draft.step(id, text(title, why), call, &[table_id], marked.map(|_| Output::None));
}

fn plan_private_table<'a>(
    draft: &mut Draft<'a>,
    vpc: Option<&Vpc>,
    public: Option<&Subnet>,
    private: Option<&Subnet>,
) -> Result<Option<&'a RouteTable>, PlanError> {
    let texts = (
        text(
            "Create the private route table",
            "It starts with the VPC's own range only; its default route comes last, when the NAT is ready.",
        ),
        text(
            "Associate the private table with the private subnet",
            "From now on the private subnet follows this table and not the VPC's main one.",
        ),
    );
    let table = plan_table(draft, private, ("private-table", "private-subnet", "private-table-association"), texts)?;
    if let (Some(table), Some(public), Some(vpc)) = (table, public, vpc) {
        let of_public = draft.network.route_table_of(&public.subnet_id, &vpc.vpc_id)?;
        if of_public.is_some_and(|other| other.route_table_id == table.route_table_id) {
            return Err(PlanError::Conflict {
                resource: ResourceId::from(&table.route_table_id),
                why: "it applies to both the public and the private subnet, so a default route to the NAT would lead \
                      the NAT to itself"
                    .to_owned(),
                next_move: "associate the private subnet with a table of its own".to_owned(),
            });
        }
        let others: Vec<&str> =
            table.subnet_ids().filter(|id| private.is_none_or(|p| p.subnet_id != **id)).map(SubnetId::as_str).collect();
        if !others.is_empty() {
            draft.notes.push(format!(
                "{} applies to {} too: what is there leaves by the NAT as well.",
                table.route_table_id,
                others.join(", ")
            ));
        }
    }
    Ok(table)
}

/// The instances of the private subnet that are there to stay.
fn find_instances<'a>(draft: &Draft<'a>, private: Option<&Subnet>) -> Result<Vec<&'a Instance>, PlanError> {
    let Some(private) = private else { return Ok(Vec::new()) };
    let instances = draft.network.instances.known()?;
    let here = |instance: &&Instance| instance.subnet_id.as_ref() == Some(&private.subnet_id) && is_alive(instance);
    Ok(instances.values().filter(here).collect())
}

/// The last part of an ARN's path.
fn name_of_arn(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Plans role and instance profile, or takes the private instances'. Returns the profile's name.
fn plan_profile(draft: &mut Draft<'_>, instances: &[&Instance]) -> Result<String, PlanError> {
    let ours = format!("{}-ssm", draft.spec.name);
    let call = Call::CreateInstanceProfile { instance_profile_name: ours.clone() };
    let title = format!("Create the instance profile {ours}");
    let adopted = instances.iter().filter_map(|instance| instance.instance_profile_arn.as_deref()).map(name_of_arn);
    if let Some(name) = adopted.into_iter().find(|name| *name != ours) {
        let why = format!("The private instances have {name} already, and the NAT takes the same.");
        let exists = Some(Output::InstanceProfile(name.to_owned()));
        let call = Call::CreateInstanceProfile { instance_profile_name: name.to_owned() };
        draft.step("instance-profile", text(format!("Create the instance profile {name}"), why), call, &[], exists);
        return Ok(name.to_owned());
    }
    let profiles = draft.network.instance_profiles.known()?;
    let profile = profiles.values().find(|profile| profile.name == ours);
    if let Some(foreign) = profile.filter(|profile| !draft.is_of_stack(&profile.tags)) {
        return Err(PlanError::Conflict {
            resource: ResourceId(foreign.arn.clone()),
            why: format!("an instance profile of the name {ours} exists, and it is not this stack's"),
            next_move: "give the stack another name".to_owned(),
        });
    }
    let role = profile.and_then(|profile| profile.roles.iter().find(|role| role.name == ours));
    let policy = match role.map(|role| &role.attached_policies) {
        Some(None) => {
            return Err(PlanError::Unknown(Unknown::new(
                format!("policies of role {ours}"),
                "ListAttachedRolePolicies gave no answer",
            )));
        }
        Some(Some(policies)) => policies.iter().any(|policy| policy.arn == SSM_POLICY),
        None => false,
    };
    // The profile comes first and goes last: a role is found again only through the profile that is named like it.
    let why = "An instance gets its role by way of a profile. The profile comes first, since the role is found again \
               through it.";
    let exists = profile.map(|profile| Output::InstanceProfile(profile.name.clone()));
    draft.step("instance-profile", text(title, why), call, &[], exists);
    let why = "Instances act as this role when they talk to Systems Manager; no SSH and no keys are needed.";
    let call = Call::CreateRole {
        role_name: ours.clone(),
        description: "Lets instances be reached through Systems Manager".to_owned(),
        assume_role_policy: trust_policy().to_owned(),
    };
    let exists = role.map(|role| Output::Role(role.name.clone()));
    draft.step("role", text(format!("Create the role {ours}"), why), call, &["instance-profile"], exists);
    let why = "AWS's own policy with exactly what the SSM agent needs.";
    let call = Call::AttachRolePolicy { role_name: ours.clone(), policy_arn: SSM_POLICY.to_owned() };
    let title = text("Attach AmazonSSMManagedInstanceCore to the role", why);
    draft.step("role-policy", title, call, &["role"], policy.then_some(Output::None));
    let call = Call::AddRoleToInstanceProfile { instance_profile_name: ours.clone(), role_name: ours.clone() };
    let title = text("Put the role into the profile", "A profile holds one role; without it, it grants nothing.");
    let waits = ["instance-profile", "role", "role-policy"];
    draft.step("role-in-profile", title, call, &waits, role.map(|_| Output::None));
    Ok(ours)
}

/// Plans endpoints and private instances. Returns the steps of the instances.
fn plan_private_side(
    draft: &mut Draft<'_>,
    vpc: Option<&Vpc>,
    private: Option<&Subnet>,
    instances: &[&Instance],
    profile_name: &str,
    inputs: &Inputs,
) -> Result<Vec<String>, PlanError> {
    if draft.spec.ssm_endpoints {
        plan_endpoints(draft, vpc)?;
    }
    let adopted = private.is_some_and(|subnet| !draft.is_ours(&subnet.tags, "private-subnet"));
    let mut clients = Vec::new();
    if adopted {
        for instance in instances {
            clients.push(adopt_client(draft, instance));
        }
        if clients.is_empty() {
            draft.notes.push(format!(
                "There is no instance in the private subnet {}, so egress cannot be checked.",
                draft.spec.private_subnet_cidr
            ));
        }
        return Ok(clients);
    }
    if draft.spec.private_instances == 0 {
        return Ok(clients);
    }
    let title = "Create the security group of the private instances";
    let why = "No way in, every way out: the private instances only begin connections themselves.";
    plan_group(draft, vpc, "private-security-group", text(title, why), "Private instances: egress only")?;
    for number in 1..=draft.spec.private_instances {
        let id = format!("private-instance-{number}");
        let exists = instances.iter().find(|instance| draft.is_ours(&instance.tags, &id));
        let launch = Launch {
            image_id: exists.map_or_else(|| inputs.image_id.clone(), |instance| instance.image_id.clone()),
            instance_type: draft.spec.instance_type.clone(),
            subnet: draft.made("private-subnet"),
            security_group: draft.made("private-security-group"),
            associate_public_ip_address: false,
            instance_profile_name: Some(profile_name.to_owned()),
            key_name: None,
            user_data: None,
        };
        let why = "A client of the NAT: without a public address, reached through Systems Manager.";
        let title = text(format!("Start private instance {number}"), why);
        // With the endpoints there, the agent finds SSM at its first try and need not back off for minutes.
        let waits = [
            "private-subnet",
            "private-table-association",
            "private-security-group",
            "role-in-profile",
            "endpoint-ssm",
            "endpoint-ssmmessages",
            "endpoint-ec2messages",
        ];
        let output = exists.and_then(|instance| instance_output(instance));
        draft.step(&id, title, Call::RunInstances(Box::new(launch)), &waits, output);
        clients.push(id);
    }
    // What else was started in the stack's subnet is a client as well.
    let foreign = instances.iter().filter(|instance| !draft.is_of_stack(&instance.tags));
    for instance in foreign.copied().collect::<Vec<_>>() {
        clients.push(adopt_client(draft, instance));
    }
    Ok(clients)
}

/// A private instance that exists, as a step that is done.
fn adopt_client(draft: &mut Draft<'_>, instance: &Instance) -> String {
    let id = format!("private-instance-{}", instance.instance_id);
    let name = instance.tags.name().unwrap_or(instance.instance_id.as_str());
    let launch = Launch {
        image_id: instance.image_id.clone(),
        instance_type: instance.instance_type.clone(),
        subnet: draft.made("private-subnet"),
        security_group: instance
            .security_group_ids
            .first()
            .map_or_else(|| Ref::Made("private-security-group".into()), |group| Ref::Existing(group.clone())),
        associate_public_ip_address: false,
        instance_profile_name: instance.instance_profile_arn.as_deref().map(|arn| name_of_arn(arn).to_owned()),
        key_name: instance.key_name.clone(),
        user_data: None,
    };
    let title = text(format!("Start private instance {name}"), "A client of the NAT that is there already.");
    let exists = Some(instance_output(instance).unwrap_or(Output::None));
    draft.step(&id, title, Call::RunInstances(Box::new(launch)), &["private-subnet"], exists);
    id
}

/// Plans a security group by the name `<stack>-<what it is for>`.
pub(super) fn plan_group(
    draft: &mut Draft<'_>,
    vpc: Option<&Vpc>,
    id: &str,
    texts: Text,
    description: &str,
) -> Result<(), PlanError> {
    let groups = draft.network.security_groups.known()?;
    let group_name = format!("{}-{}", draft.spec.name, id.trim_end_matches("-security-group"));
    let in_vpc = |vpc_id: &VpcId| vpc.is_some_and(|vpc| vpc.vpc_id == *vpc_id);
    let ours = groups.values().find(|group| in_vpc(&group.vpc_id) && draft.is_ours(&group.tags, id));
    let same_name = groups.values().find(|group| in_vpc(&group.vpc_id) && group.group_name == group_name);
    if let (None, Some(foreign)) = (ours, same_name) {
        return Err(PlanError::Conflict {
            resource: ResourceId::from(&foreign.group_id),
            why: format!("a security group of the name {group_name} exists in the VPC, and it is not this stack's"),
            next_move: "give the stack another name, or delete the group".to_owned(),
        });
    }
    let description = description.to_owned();
    let call = Call::CreateSecurityGroup { vpc: draft.made("vpc"), group_name, description };
    draft.step(id, texts, call, &["vpc"], ours.map(|group| Output::SecurityGroup(group.group_id.clone())));
    Ok(())
}

fn plan_endpoints(draft: &mut Draft<'_>, vpc: Option<&Vpc>) -> Result<(), PlanError> {
    let endpoints = draft.network.vpc_endpoints.known()?;
    let usable = |service: &str| {
        endpoints.values().find(|endpoint| {
            vpc.is_some_and(|vpc| vpc.vpc_id == endpoint.vpc_id)
                && endpoint.service_name.ends_with(&format!(".{service}"))
                && matches!(endpoint.state, EndpointState::Available | EndpointState::Pending)
        })
    };
    let found = ENDPOINTS.map(usable);
    let ours_or_missing = |endpoint: &Option<&crate::model::VpcEndpoint>| {
        endpoint.is_none_or(|endpoint| draft.is_of_stack(&endpoint.tags))
    };
    if found.iter().any(ours_or_missing) {
        let title = "Create the security group of the endpoints";
        let why = "The endpoints are interfaces in the private subnet and have a group of their own.";
        plan_group(draft, vpc, "endpoint-security-group", text(title, why), "HTTPS from the VPC to SSM's endpoints")?;
        let cidr = vpc.and_then(|vpc| vpc.cidr_blocks.first().copied()).unwrap_or(draft.spec.vpc_cidr);
        let rule = IngressRule {
            protocol: Protocol::Tcp,
            ports: Some((443, 443)),
            peer: RulePeer::Ipv4(cidr),
            description: "SSM agents of the VPC".to_owned(),
        };
        let why = "The agents talk HTTPS to the endpoints; everything else stays closed.";
        plan_ingress(
            draft,
            "endpoint-ingress",
            "endpoint-security-group",
            text(format!("Let {cidr} reach the endpoints on port 443"), why),
            rule,
        )?;
    }
    let region = draft.network.region.clone();
    for (service, endpoint) in ENDPOINTS.into_iter().zip(found) {
        let call = Call::CreateVpcEndpoint {
            vpc: draft.made("vpc"),
            service_name: format!("com.amazonaws.{region}.{service}"),
            subnet: draft.made("private-subnet"),
            security_group: match endpoint.and_then(|endpoint| endpoint.security_group_ids.first()) {
                Some(group) => Ref::Existing(group.clone()),
                None => draft.made("endpoint-security-group"),
            },
        };
        let why = "Systems Manager stays reachable when egress is broken, which is when it is needed most.";
        let title = text(format!("Create the VPC endpoint for {service}"), why);
        let waits =
            ["private-subnet", "endpoint-security-group", "endpoint-ingress", "vpc-dns-support", "vpc-dns-hostnames"];
        let exists = endpoint.map(|endpoint| Output::VpcEndpoint(endpoint.vpc_endpoint_id.clone()));
        draft.step(&format!("endpoint-{service}"), title, call, &waits, exists);
    }
    Ok(())
}

/// Plans one rule of a group that the plan has.
pub(super) fn plan_ingress(
    draft: &mut Draft<'_>,
    id: &str,
    group_id: &str,
    texts: Text,
    rule: IngressRule,
) -> Result<(), PlanError> {
    let group = draft.made(group_id);
    let exists = match &group {
        Ref::Made(_) => false,
        Ref::Existing(group) => {
            let group = draft.network.security_groups.get(group)?;
            group.is_some_and(|group| group.ingress().any(|is| covers(is, &rule)))
        }
    };
    let waits = [group_id, "private-security-group"];
    let call = Call::AuthorizeSecurityGroupIngress { group, rule };
    draft.step(id, texts, call, &waits, exists.then_some(Output::None));
    Ok(())
}

/// Whether an existing rule is the wanted one.
fn covers(is: &crate::model::SecurityGroupRule, wanted: &IngressRule) -> bool {
    use crate::model::Peer;
    let same_peer = match (&is.peer, &wanted.peer) {
        (Peer::Ipv4(is), RulePeer::Ipv4(wanted)) => is == wanted,
        (Peer::Group(is), RulePeer::Group(Ref::Existing(wanted))) => is == wanted,
        _ => false,
    };
    let same_ports = match wanted.ports {
        None => wanted.protocol == Protocol::All || is.from_port.is_none_or(|port| port <= 0),
        Some((from, to)) => is.from_port == Some(i32::from(from)) && is.to_port == Some(i32::from(to)),
    };
    same_peer && is.protocol == wanted.protocol && same_ports
}
