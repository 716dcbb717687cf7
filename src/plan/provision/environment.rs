//! The article's draft: VPC, gateway, subnets, tables, SSM and private instances. Pure.

use ipnet::Ipv4Net;

use super::draft::{Draft, Text, is_alive, text};
use super::private::{plan_private_side, plan_profile};
use super::{Inputs, PlanError};
use crate::model::{
    Instance, InternetGateway, Resource, ResourceId, RouteTable, RouteTarget, Subnet, SubnetId, Unknown, Vpc,
};
use crate::plan::marks::Mark;
use crate::plan::spec::overlap;
use crate::plan::{Call, Output, RouteVia, VpcAttribute, default_destination};

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
