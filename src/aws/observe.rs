//! Gathers a snapshot of a region or of one VPC: every describe call at once, all pages, a deadline each. What failed
//! is unknown with a reason, never empty; what an earlier snapshot saw of it is still shown.

mod compute;
mod convert;
mod filtering;
mod iam;
mod options;
mod routing;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use aws_sdk_ec2::types::Filter;
use futures::future::join_all;
use jiff::Timestamp;
use tokio::join;
use tokio::time::timeout;

use self::convert::Missing;
pub(super) use self::iam::tags as iam_tags;
use super::error::Error;
use super::session::Session;
use crate::model::{InstanceId, Network, Part, Peer, PrefixList, RouteDestination, StatusCheck, Unknown, Vpc, VpcId};

/// How long one part may take, all its pages and retries included.
const DEADLINE: Duration = Duration::from_secs(10);

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything in the session's region.
    Region,
    /// One VPC and what belongs to it. Gateways and Elastic IPs that belong to no VPC at all are seen too, since a
    /// stack that is half made or half gone has some.
    Vpc(VpcId),
}

impl Scope {
    fn vpc_id(&self) -> Option<&VpcId> {
        match self {
            Self::Region => None,
            Self::Vpc(id) => Some(id),
        }
    }

    /// The filter for calls that can filter by VPC.
    fn filters(&self) -> Option<Vec<Filter>> {
        self.vpc_id().map(|id| vec![filter("vpc-id", id.as_str())])
    }
}

/// One complete observation.
///
/// `earlier` is an older snapshot of the same scope: where a call fails, its part is still shown, as stale.
pub async fn observe(session: &Session, scope: &Scope, earlier: Option<&Network>) -> Network {
    let mut gaps = Vec::new();
    let (
        (vpcs, subnets, route_tables, internet_gateways, egress_only_gateways, nat_gateways, network_interfaces),
        (instances, statuses, security_groups, network_acls, addresses, vpc_endpoints),
        (managed_instances, profile_names, block_public_access, unlimited),
    ) = join!(
        async {
            join!(
                vpcs(session, scope),
                subnets(session, scope),
                route_tables(session, scope),
                internet_gateways(session, scope),
                egress_only_internet_gateways(session, scope),
                nat_gateways(session, scope),
                network_interfaces(session, scope),
            )
        },
        async {
            join!(
                instances(session, scope),
                instance_statuses(session),
                security_groups(session, scope),
                network_acls(session, scope),
                addresses(session),
                vpc_endpoints(session, scope),
            )
        },
        async {
            join!(
                managed_instances(session),
                iam::list(session),
                Box::pin(options::block_public_access(session)),
                Box::pin(options::unlimited(session)),
            )
        },
    );
    let at = Timestamp::now();
    let earlier = earlier.cloned().unwrap_or_default();
    let mut network =
        Network { account_id: earlier.account_id, region: session.region().to_owned(), ..Network::default() };
    network.vpcs = part(at, vpcs, &mut gaps, earlier.vpcs);
    network.subnets = part(at, subnets, &mut gaps, earlier.subnets);
    network.route_tables = part(at, route_tables, &mut gaps, earlier.route_tables);
    network.internet_gateways = part(at, internet_gateways, &mut gaps, earlier.internet_gateways);
    network.egress_only_internet_gateways =
        part(at, egress_only_gateways, &mut gaps, earlier.egress_only_internet_gateways);
    network.nat_gateways = part(at, nat_gateways, &mut gaps, earlier.nat_gateways);
    network.network_interfaces = part(at, network_interfaces, &mut gaps, earlier.network_interfaces);
    network.instances = part(at, instances, &mut gaps, earlier.instances);
    network.security_groups = part(at, security_groups, &mut gaps, earlier.security_groups);
    network.network_acls = part(at, network_acls, &mut gaps, earlier.network_acls);
    network.addresses = part(at, addresses, &mut gaps, earlier.addresses);
    network.vpc_endpoints = part(at, vpc_endpoints, &mut gaps, earlier.vpc_endpoints);
    network.managed_instances = part(at, managed_instances, &mut gaps, earlier.managed_instances);
    network.block_public_access = part(at, block_public_access, &mut gaps, earlier.block_public_access);
    match unlimited {
        Ok(unlimited) => options::add_credits(&mut network, &unlimited),
        Err(unknown) => gaps.push(unknown),
    }
    match statuses {
        Ok(statuses) => add_statuses(&mut network, statuses),
        Err(unknown) => gaps.push(unknown),
    }
    if let Some(vpc_id) = scope.vpc_id() {
        keep_only(&mut network, vpc_id);
    }
    // What these two ask about is known only now.
    let named = named_prefix_lists(&network);
    let (prefix_lists, profiles) =
        join!(prefix_lists(session, named), iam::profiles(session, &network, profile_names, &mut gaps));
    let mut list_gaps = Vec::new();
    network.prefix_lists = part(at, prefix_lists, &mut list_gaps, earlier.prefix_lists);
    network.instance_profiles = match profiles {
        Ok(profiles) => Part::observed(at, profiles),
        Err(unknown) => Part::unknown(unknown).or_stale(earlier.instance_profiles),
    };
    gaps.extend(list_gaps);
    network.unknown = gaps;
    network.observed_at = Some(Timestamp::now());
    network
}

/// What one call brought: resources by id, and what had to be left out.
struct Gathered<T> {
    items: Vec<(String, T)>,
    gaps: Vec<Unknown>,
}

/// Makes a part of the snapshot.
fn part<T, L>(
    at: Timestamp,
    answer: Result<Gathered<T>, Unknown>,
    gaps: &mut Vec<Unknown>,
    earlier: Part<T, L>,
) -> Part<T, L> {
    match answer {
        Ok(gathered) => {
            gaps.extend(gathered.gaps);
            Part::observed(at, gathered.items)
        }
        Err(unknown) => Part::unknown(unknown).or_stale(earlier),
    }
}

/// Waits for `answer`, at most until the deadline.
async fn within<T>(operation: &'static str, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Unknown> {
    match timeout(DEADLINE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(unknown(operation, &error)),
        Err(_) => Err(Unknown::new(operation, format!("no answer within {} s", DEADLINE.as_secs()))),
    }
}

/// Why something is not known. The operation is the `what`, so the reason does not repeat it.
fn unknown(operation: &'static str, error: &Error) -> Unknown {
    Unknown::new(operation, Error { operation: "", ..error.clone() }.to_string())
}

/// Converts a whole answer. A resource that lacks a needed field is left out and becomes a gap.
fn converted<S, T>(
    operation: &'static str,
    items: impl IntoIterator<Item = S>,
    convert: impl Fn(S) -> Result<(String, T), Missing>,
) -> Gathered<T> {
    let items = items.into_iter();
    let mut gathered = Gathered { items: Vec::with_capacity(items.size_hint().0), gaps: Vec::new() };
    for item in items {
        match convert(item) {
            Ok(pair) => gathered.items.push(pair),
            Err(missing) => gathered.gaps.push(Unknown::new(format!("{operation} {}", missing.id), missing.reason())),
        }
    }
    gathered
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// One paginated call: all pages, converted.
macro_rules! all_pages {
    ($session:ident, $operation:literal, $request:expr, $convert:expr) => {
        within($operation, async {
            let request = $request.into_paginator().items().send();
            request.collect::<Result<Vec<_>, _>>().await.map_err($session.on($operation))
        })
        .await
        .map(|items| converted($operation, items, $convert))
    };
}

async fn vpcs(session: &Session, scope: &Scope) -> Result<Gathered<Vpc>, Unknown> {
    let request = session.ec2().describe_vpcs().max_results(1000).set_filters(scope.filters());
    let mut gathered = all_pages!(session, "DescribeVpcs", request, convert::vpc)?;
    let (attributes, name_servers) = join!(
        join_all(gathered.items.iter().map(|(id, _)| dns_attributes(session, id))),
        options::name_servers(session)
    );
    match name_servers {
        Ok(name_servers) => {
            for set in gathered.items.iter_mut().filter_map(|(_, vpc)| vpc.dhcp_options.as_mut()) {
                set.domain_name_servers = name_servers.get(&set.dhcp_options_id).cloned();
            }
        }
        Err(gap) => gathered.gaps.push(gap),
    }
    for ((id, vpc), (support, hostnames)) in gathered.items.iter_mut().zip(attributes) {
        for (name, answer, field) in [
            ("enableDnsSupport", support, &mut vpc.dns_support),
            ("enableDnsHostnames", hostnames, &mut vpc.dns_hostnames),
        ] {
            match answer {
                Ok(value) => *field = Some(value),
                Err(gap) => {
                    gathered.gaps.push(Unknown::new(format!("DescribeVpcAttribute {name} of {id}"), gap.reason));
                }
            }
        }
    }
    Ok(gathered)
}

/// The VPC attributes `enableDnsSupport` and `enableDnsHostnames`; AWS tells one a call.
async fn dns_attributes(session: &Session, vpc_id: &str) -> (Result<bool, Unknown>, Result<bool, Unknown>) {
    use aws_sdk_ec2::types::VpcAttributeName as Name;
    const OPERATION: &str = "DescribeVpcAttribute";
    let ask = |name: Name| {
        within(OPERATION, async move {
            let answer = session.ec2().describe_vpc_attribute().vpc_id(vpc_id).attribute(name.clone());
            let answer = answer.send().await.map_err(session.on(OPERATION))?;
            let value = match name {
                Name::EnableDnsSupport => answer.enable_dns_support,
                _ => answer.enable_dns_hostnames,
            };
            value.and_then(|value| value.value).ok_or(Error::missing(OPERATION, "Value"))
        })
    };
    join!(ask(Name::EnableDnsSupport), ask(Name::EnableDnsHostnames))
}

async fn subnets(session: &Session, scope: &Scope) -> Result<Gathered<crate::model::Subnet>, Unknown> {
    let request = session.ec2().describe_subnets().max_results(1000).set_filters(scope.filters());
    all_pages!(session, "DescribeSubnets", request, convert::subnet)
}

async fn route_tables(session: &Session, scope: &Scope) -> Result<Gathered<crate::model::RouteTable>, Unknown> {
    let request = session.ec2().describe_route_tables().max_results(100).set_filters(scope.filters());
    all_pages!(session, "DescribeRouteTables", request, routing::route_table)
}

async fn internet_gateways(
    session: &Session,
    scope: &Scope,
) -> Result<Gathered<crate::model::InternetGateway>, Unknown> {
    // Not filtered by VPC: a detached gateway has none and must be seen.
    let request = session.ec2().describe_internet_gateways().max_results(1000);
    let mut gathered = all_pages!(session, "DescribeInternetGateways", request, convert::internet_gateway)?;
    if let Some(vpc_id) = scope.vpc_id() {
        gathered.items.retain(|(_, g)| g.attachments.is_empty() || g.attachments.iter().any(|a| &a.vpc_id == vpc_id));
    }
    Ok(gathered)
}

async fn egress_only_internet_gateways(
    session: &Session,
    scope: &Scope,
) -> Result<Gathered<crate::model::EgressOnlyInternetGateway>, Unknown> {
    // AWS has no filter by VPC for these.
    let request = session.ec2().describe_egress_only_internet_gateways().max_results(255);
    let mut gathered =
        all_pages!(session, "DescribeEgressOnlyInternetGateways", request, convert::egress_only_internet_gateway)?;
    if let Some(vpc_id) = scope.vpc_id() {
        gathered.items.retain(|(_, g)| g.attachments.is_empty() || g.attachments.iter().any(|a| &a.vpc_id == vpc_id));
    }
    Ok(gathered)
}

async fn nat_gateways(session: &Session, scope: &Scope) -> Result<Gathered<crate::model::NatGateway>, Unknown> {
    let request = session.ec2().describe_nat_gateways().max_results(1000).set_filter(scope.filters());
    all_pages!(session, "DescribeNatGateways", request, convert::nat_gateway)
}

async fn network_interfaces(
    session: &Session,
    scope: &Scope,
) -> Result<Gathered<crate::model::NetworkInterface>, Unknown> {
    let request = session.ec2().describe_network_interfaces().max_results(1000).set_filters(scope.filters());
    all_pages!(session, "DescribeNetworkInterfaces", request, convert::network_interface)
}

async fn instances(session: &Session, scope: &Scope) -> Result<Gathered<crate::model::Instance>, Unknown> {
    const OPERATION: &str = "DescribeInstances";
    let request = session.ec2().describe_instances().max_results(1000).set_filters(scope.filters());
    let reservations = within(OPERATION, async {
        let pages = request.into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(session.on(OPERATION))
    })
    .await?;
    let instances = reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
    Ok(converted(OPERATION, instances, compute::instance))
}

/// Status checks of all instances of the region: AWS has no filter by VPC for these.
async fn instance_statuses(session: &Session) -> Result<Vec<aws_sdk_ec2::types::InstanceStatus>, Unknown> {
    const OPERATION: &str = "DescribeInstanceStatus";
    within(OPERATION, async {
        let request = session.ec2().describe_instance_status().include_all_instances(true).max_results(1000);
        let pages = request.into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(session.on(OPERATION))
    })
    .await
}

fn add_statuses(network: &mut Network, statuses: Vec<aws_sdk_ec2::types::InstanceStatus>) {
    let instances = network.instances.items_mut();
    for status in statuses {
        let Some(instance) = status.instance_id.and_then(|id| instances.get_mut(&id)) else { continue };
        let check = |summary: Option<aws_sdk_ec2::types::InstanceStatusSummary>| {
            summary.and_then(|summary| summary.status).map(|status| StatusCheck::from(status.as_str()))
        };
        instance.system_status = check(status.system_status);
        instance.instance_status = check(status.instance_status);
    }
}

async fn security_groups(session: &Session, scope: &Scope) -> Result<Gathered<crate::model::SecurityGroup>, Unknown> {
    let request = session.ec2().describe_security_groups().max_results(1000).set_filters(scope.filters());
    all_pages!(session, "DescribeSecurityGroups", request, filtering::security_group)
}

async fn network_acls(session: &Session, scope: &Scope) -> Result<Gathered<crate::model::NetworkAcl>, Unknown> {
    let request = session.ec2().describe_network_acls().max_results(1000).set_filters(scope.filters());
    all_pages!(session, "DescribeNetworkAcls", request, filtering::network_acl)
}

/// All Elastic IPs of the region: the call has neither pages nor a filter by VPC.
async fn addresses(session: &Session) -> Result<Gathered<crate::model::Address>, Unknown> {
    const OPERATION: &str = "DescribeAddresses";
    let answer =
        within(OPERATION, async { session.ec2().describe_addresses().send().await.map_err(session.on(OPERATION)) })
            .await?;
    Ok(converted(OPERATION, answer.addresses.unwrap_or_default(), convert::address))
}

async fn vpc_endpoints(session: &Session, scope: &Scope) -> Result<Gathered<crate::model::VpcEndpoint>, Unknown> {
    let request = session.ec2().describe_vpc_endpoints().max_results(1000).set_filters(scope.filters());
    all_pages!(session, "DescribeVpcEndpoints", request, convert::vpc_endpoint)
}

async fn managed_instances(session: &Session) -> Result<Gathered<crate::model::ManagedInstance>, Unknown> {
    let request = session.ssm().describe_instance_information().max_results(50);
    all_pages!(session, "DescribeInstanceInformation", request, compute::managed_instance)
}

/// Drops what the unfiltered calls saw of other VPCs.
fn keep_only(network: &mut Network, vpc_id: &VpcId) {
    if network.network_interfaces.gap().is_none() {
        let interfaces = network.network_interfaces.shown().clone();
        network.addresses.items_mut().retain(|_, address| match &address.network_interface_id {
            Some(interface) => interfaces.contains_key(interface.as_str()),
            None => true,
        });
    }
    if network.instances.gap().is_none() {
        let instances: BTreeSet<InstanceId> =
            network.instances.shown().values().map(|instance| instance.instance_id.clone()).collect();
        network.managed_instances.items_mut().retain(|_, managed| instances.contains(&managed.instance_id));
    }
    // A terminated instance has no VPC any more; should an endpoint ignore the filter, this holds all the same.
    network.vpcs.items_mut().retain(|_, vpc| &vpc.vpc_id == vpc_id);
}

/// The prefix lists that routes and rules name.
fn named_prefix_lists(network: &Network) -> BTreeSet<String> {
    let routes = network.route_tables.shown().values().flat_map(|table| &table.routes);
    let of_routes = routes.filter_map(|route| match &route.destination {
        RouteDestination::PrefixList(id) => Some(id.to_string()),
        _ => None,
    });
    let rules = network.security_groups.shown().values().flat_map(|group| &group.rules);
    let of_rules = rules.filter_map(|rule| match &rule.peer {
        Peer::PrefixList(id) => Some(id.to_string()),
        _ => None,
    });
    of_routes.chain(of_rules).collect()
}

/// The named lists with their entries. Asks nothing when none is named.
async fn prefix_lists(session: &Session, named: BTreeSet<String>) -> Result<Gathered<PrefixList>, Unknown> {
    if named.is_empty() {
        return Ok(Gathered { items: Vec::new(), gaps: Vec::new() });
    }
    // By filter: naming one that is gone would fail the whole call.
    let by_id = Filter::builder().name("prefix-list-id").set_values(Some(named.into_iter().collect())).build();
    let request = session.ec2().describe_managed_prefix_lists().max_results(100).filters(by_id);
    let mut gathered = all_pages!(session, "DescribeManagedPrefixLists", request, convert::prefix_list)?;
    let entries = join_all(gathered.items.iter().map(|(id, _)| entries(session, id))).await;
    for ((id, list), answer) in gathered.items.iter_mut().zip(entries) {
        match answer {
            Ok(cidrs) => list.cidrs = Some(cidrs),
            Err(gap) => gathered.gaps.push(Unknown::new(format!("{} {id}", gap.what), gap.reason)),
        }
    }
    Ok(gathered)
}

async fn entries(session: &Session, prefix_list_id: &str) -> Result<Vec<ipnet::IpNet>, Unknown> {
    const OPERATION: &str = "GetManagedPrefixListEntries";
    within(OPERATION, async {
        let request = session.ec2().get_managed_prefix_list_entries().prefix_list_id(prefix_list_id).max_results(100);
        let pages = request.into_paginator().items().send();
        let entries = pages.collect::<Result<Vec<_>, _>>().await.map_err(session.on(OPERATION))?;
        let cidr = |entry: aws_sdk_ec2::types::PrefixListEntry| entry.cidr.and_then(|cidr| cidr.parse().ok());
        entries.into_iter().map(|entry| cidr(entry).ok_or(Error::missing(OPERATION, "Cidr"))).collect()
    })
    .await
}
