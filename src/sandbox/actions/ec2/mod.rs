//! EC2, API version 2016-11-15. Names and nesting are those of the published model; rules, codes and messages are
//! those of the service.

mod address;
mod block_public_access;
mod catalog;
mod describe;
mod dhcp_options;
mod endpoint;
mod endpoint_services;
mod flow_log;
mod gateway;
mod images;
mod instance;
mod kept;
mod key_pair;
mod launch_template;
mod nat_gateway;
mod network_acl;
mod network_interface;
mod noun;
mod peering;
mod placement_group;
mod prefix_list;
mod route;
mod route_table;
mod security_group;
mod subnet;
mod tag;
mod volume;
mod vpc;

#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use catalog::zones;
pub use dhcp_options::renew_lease;
pub use images::{Family, IMAGES, IMAGES_PATH, PublicImage, by_parameter};
pub use instance::launch::family_of;
pub use instance::types::{InstanceType, instance_type};
pub(crate) use network_interface::private_dns_name;
pub use noun::{Kind, Noun};
pub use prefix_list::aws_prefix_lists;
pub(crate) use subnet::usable as usable_addresses;

use crate::sandbox::wire::{ApiError, Body, Query, Request, Xml};
use crate::sandbox::world::{Token, World};

/// What an action answers.
type Answer = Result<Body, ApiError>;

/// `<return>true</return>`
fn done() -> Answer {
    Ok(Body::Xml(Xml::new().text("return", true)))
}

/// EC2's way to write a time.
fn iso8601(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Answers one EC2 request: DryRun and client tokens first, which are alike for all actions.
pub fn dispatch(world: &mut World, request: &Request) -> Answer {
    let form = request.form();
    let dry_run = form.bool("DryRun")?.unwrap_or(false);
    let query = form.without(&["DryRun"]);
    if dry_run {
        // What would fail fails in a copy too; hosts play no part in whether a request is right.
        let machines = std::mem::take(&mut world.machines);
        let mut copy = world.clone();
        world.machines = machines;
        act(&mut copy, &request.action, &query)?;
        return Err(
            ApiError::new("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").with_status(412)
        );
    }
    let Some(token) = query.get("ClientToken").filter(|token| !token.is_empty()) else {
        return act(world, &request.action, &query);
    };
    if token.len() > 64 || !token.is_ascii() {
        return Err(ApiError::invalid_value("Client token must be at most 64 ASCII characters."));
    }
    let key = format!("{} {token}", request.action);
    if let Some(earlier) = world.token(&key) {
        if earlier.params == query {
            return Ok(earlier.body.clone());
        }
        return Err(ApiError::new(
            "IdempotentParameterMismatch",
            "The request uses the same client token as a previous, but non-identical request.",
        ));
    }
    let body = act(world, &request.action, &query)?;
    let made_at = world.now;
    world.remember(key, Token { params: query, body: body.clone(), made_at });
    Ok(body)
}

super::operations! { fn act(world: &mut World, action: &str, query: &Query) -> Answer {
    match action {
        "CreateVpc" => vpc::create(world, query),
        "DescribeVpcs" => vpc::describe_vpcs(world, query),
        "DeleteVpc" => vpc::delete(world, query),
        "ModifyVpcAttribute" => vpc::modify_attribute(world, query),
        "DescribeVpcAttribute" => vpc::describe_attribute(world, query),
        "AssociateVpcCidrBlock" => vpc::associate_cidr(world, query),
        "DisassociateVpcCidrBlock" => vpc::disassociate_cidr(world, query),
        "ModifyVpcTenancy" => vpc::modify_tenancy(world, query),
        "CreateDefaultVpc" => vpc::create_default(world, query),
        "CreateFlowLogs" => flow_log::create(world, query),
        "DescribeFlowLogs" => flow_log::describe_flow_logs(world, query),
        "DeleteFlowLogs" => flow_log::delete(world, query),
        "CreateSubnet" => subnet::create(world, query),
        "DescribeSubnets" => subnet::describe_subnets(world, query),
        "DeleteSubnet" => subnet::delete(world, query),
        "ModifySubnetAttribute" => subnet::modify_attribute(world, query),
        "AssociateSubnetCidrBlock" => subnet::associate_cidr(world, query),
        "DisassociateSubnetCidrBlock" => subnet::disassociate_cidr(world, query),
        "CreateDefaultSubnet" => subnet::create_default(world, query),
        "CreateInternetGateway" => gateway::create(world, query),
        "DescribeInternetGateways" => gateway::describe_internet_gateways(world, query),
        "AttachInternetGateway" => gateway::attach(world, query),
        "DetachInternetGateway" => gateway::detach(world, query),
        "DeleteInternetGateway" => gateway::delete(world, query),
        "DescribeVpcBlockPublicAccessOptions" => block_public_access::describe_options(world, query),
        "ModifyVpcBlockPublicAccessOptions" => block_public_access::modify_options(world, query),
        "DescribeVpcBlockPublicAccessExclusions" => block_public_access::describe_exclusions(world, query),
        "CreateVpcBlockPublicAccessExclusion" => block_public_access::create_exclusion(world, query),
        "DeleteVpcBlockPublicAccessExclusion" => block_public_access::delete_exclusion(world, query),
        "CreateEgressOnlyInternetGateway" => gateway::create_egress_only(world, query),
        "DescribeEgressOnlyInternetGateways" => gateway::describe_egress_only(world, query),
        "DeleteEgressOnlyInternetGateway" => gateway::delete_egress_only(world, query),
        "CreateNatGateway" => nat_gateway::create(world, query),
        "DescribeNatGateways" => nat_gateway::describe_nat_gateways(world, query),
        "DeleteNatGateway" => nat_gateway::delete(world, query),
        "AssignPrivateNatGatewayAddress" => nat_gateway::assign(world, query),
        "UnassignPrivateNatGatewayAddress" => nat_gateway::unassign(world, query),
        "AssociateNatGatewayAddress" => nat_gateway::associate(world, query),
        "DisassociateNatGatewayAddress" => nat_gateway::disassociate(world, query),
        "CreateRouteTable" => route_table::create(world, query),
        "DescribeRouteTables" => route_table::describe_route_tables(world, query),
        "DeleteRouteTable" => route_table::delete(world, query),
        "AssociateRouteTable" => route_table::associate(world, query),
        "DisassociateRouteTable" => route_table::disassociate(world, query),
        "ReplaceRouteTableAssociation" => route_table::replace_association(world, query),
        "CreateRoute" => route::create(world, query),
        "ReplaceRoute" => route::replace(world, query),
        "DeleteRoute" => route::delete(world, query),
        "CreateSecurityGroup" => security_group::create(world, query),
        "DescribeSecurityGroups" => security_group::describe_security_groups(world, query),
        "DeleteSecurityGroup" => security_group::delete(world, query),
        "AuthorizeSecurityGroupIngress" => security_group::rules::authorize_ingress(world, query),
        "AuthorizeSecurityGroupEgress" => security_group::rules::authorize_egress(world, query),
        "RevokeSecurityGroupIngress" => security_group::rules::revoke_ingress(world, query),
        "RevokeSecurityGroupEgress" => security_group::rules::revoke_egress(world, query),
        "DescribeSecurityGroupRules" => security_group::rules::describe_rules(world, query),
        "ModifySecurityGroupRules" => security_group::modify::modify_rules(world, query),
        "UpdateSecurityGroupRuleDescriptionsIngress" => security_group::modify::update_ingress_descriptions(world, query),
        "UpdateSecurityGroupRuleDescriptionsEgress" => security_group::modify::update_egress_descriptions(world, query),
        "CreateNetworkAcl" => network_acl::create(world, query),
        "DescribeNetworkAcls" => network_acl::describe_network_acls(world, query),
        "DeleteNetworkAcl" => network_acl::delete(world, query),
        "CreateNetworkAclEntry" => network_acl::create_entry(world, query),
        "ReplaceNetworkAclEntry" => network_acl::replace_entry(world, query),
        "DeleteNetworkAclEntry" => network_acl::delete_entry(world, query),
        "ReplaceNetworkAclAssociation" => network_acl::replace_association(world, query),
        "CreateNetworkInterface" => network_interface::create(world, query),
        "DescribeNetworkInterfaces" => network_interface::describe_network_interfaces(world, query),
        "DeleteNetworkInterface" => network_interface::delete(world, query),
        "AttachNetworkInterface" => network_interface::attachment::attach(world, query),
        "DetachNetworkInterface" => network_interface::attachment::detach(world, query),
        "ModifyNetworkInterfaceAttribute" => network_interface::attribute::modify(world, query),
        "DescribeNetworkInterfaceAttribute" => network_interface::attribute::describe_attribute(world, query),
        "AssignPrivateIpAddresses" => network_interface::addresses::assign_ipv4(world, query),
        "UnassignPrivateIpAddresses" => network_interface::addresses::unassign_ipv4(world, query),
        "AssignIpv6Addresses" => network_interface::addresses::assign_ipv6(world, query),
        "UnassignIpv6Addresses" => network_interface::addresses::unassign_ipv6(world, query),
        "RunInstances" => instance::run::run(world, query),
        "DescribeInstances" => instance::describe::describe_instances(world, query),
        "DescribeInstanceStatus" => instance::describe::describe_status(world, query),
        "TerminateInstances" => instance::lifecycle::terminate(world, query),
        "StopInstances" => instance::lifecycle::stop(world, query),
        "StartInstances" => instance::lifecycle::start(world, query),
        "RebootInstances" => instance::lifecycle::reboot(world, query),
        "DescribeInstanceAttribute" => instance::attribute::describe_attribute(world, query),
        "ModifyInstanceAttribute" => instance::attribute::modify(world, query),
        "ModifyInstanceMetadataOptions" => instance::options::modify_metadata(world, query),
        "ModifyPrivateDnsNameOptions" => instance::options::modify_names(world, query),
        "ModifyInstanceMaintenanceOptions" => instance::options::modify_maintenance(world, query),
        "ModifyInstanceCapacityReservationAttributes" => instance::options::modify_capacity(world, query),
        "ModifyInstancePlacement" => instance::options::modify_placement(world, query),
        "MonitorInstances" => instance::options::monitor_instances(world, query),
        "UnmonitorInstances" => instance::options::unmonitor_instances(world, query),
        "CancelSpotInstanceRequests" => instance::options::cancel_spot_requests(world, query),
        "DescribeSpotInstanceRequests" => instance::options::describe_spot_requests(world, query),
        "DescribeInstanceCreditSpecifications" => instance::options::describe_credits(world, query),
        "ModifyInstanceCreditSpecification" => instance::options::modify_credits(world, query),
        "GetConsoleOutput" => instance::options::console_output(world, query),
        "AssociateIamInstanceProfile" => instance::profile::associate(world, query),
        "DescribeIamInstanceProfileAssociations" => instance::profile::describe_associations(world, query),
        "ReplaceIamInstanceProfileAssociation" => instance::profile::replace(world, query),
        "DisassociateIamInstanceProfile" => instance::profile::disassociate(world, query),
        "DescribeInstanceTypes" => instance::types::describe_instance_types(world, query),
        "CreatePlacementGroup" => placement_group::create(world, query),
        "DescribePlacementGroups" => placement_group::describe_placement_groups(world, query),
        "DeletePlacementGroup" => placement_group::delete(world, query),
        "CreateSnapshot" => volume::snapshot::create(world, query),
        "DescribeSnapshots" => volume::snapshot::describe_snapshots(world, query),
        "DeleteSnapshot" => volume::snapshot::delete(world, query),
        "GetEbsEncryptionByDefault" => volume::encryption_by_default(),
        "GetEbsDefaultKmsKeyId" => volume::default_kms_key(),
        "DescribeVolumes" => volume::describe_volumes(world, query),
        "CreateVolume" => volume::create(world, query),
        "AttachVolume" => volume::attach(world, query),
        "DetachVolume" => volume::detach(world, query),
        "DeleteVolume" => volume::delete(world, query),
        "ModifyVolume" => volume::modify(world, query),
        "DescribeVolumesModifications" => volume::describe_modifications(world, query),
        "AllocateAddress" => address::allocate(world, query),
        "DescribeAddresses" => address::describe_addresses(world, query),
        "DescribeAddressesAttribute" => address::describe_attribute(world, query),
        "AssociateAddress" => address::associate(world, query),
        "DisassociateAddress" => address::disassociate(world, query),
        "ReleaseAddress" => address::release(world, query),
        "CreateVpcEndpoint" => endpoint::create(world, query),
        "DescribeVpcEndpoints" => endpoint::describe_vpc_endpoints(world, query),
        "DeleteVpcEndpoints" => endpoint::delete(world, query),
        "ModifyVpcEndpoint" => endpoint::modify(world, query),
        "DescribeVpcEndpointServices" => endpoint_services::describe_services(world, query),
        "CreateTags" => tag::create_tags(world, query),
        "DeleteTags" => tag::delete_tags(world, query),
        "DescribeTags" => tag::describe_tags(world, query),
        "DescribeImages" => images::describe_images(world, query),
        "DescribeAvailabilityZones" => catalog::describe_availability_zones(world, query),
        "DescribeDhcpOptions" => dhcp_options::describe_dhcp_options(world, query),
        "DescribeRegions" => catalog::describe_regions(world, query),
        "DescribeManagedPrefixLists" => prefix_list::describe_managed_prefix_lists(world, query),
        "GetManagedPrefixListEntries" => prefix_list::get_entries(world, query),
        "DescribePrefixLists" => prefix_list::describe_prefix_lists(world, query),
        "CreateKeyPair" => key_pair::create(world, query),
        "ImportKeyPair" => key_pair::import(world, query),
        "DescribeKeyPairs" => key_pair::describe_key_pairs(world, query),
        "DeleteKeyPair" => key_pair::delete(world, query),
        "CreateDhcpOptions" => dhcp_options::create(world, query),
        "AssociateDhcpOptions" => dhcp_options::associate(world, query),
        "DeleteDhcpOptions" => dhcp_options::delete(world, query),
        "CreateManagedPrefixList" => prefix_list::create(world, query),
        "ModifyManagedPrefixList" => prefix_list::modify(world, query),
        "DeleteManagedPrefixList" => prefix_list::delete(world, query),
        "GetManagedPrefixListAssociations" => prefix_list::get_associations(world, query),
        "CreateVpcPeeringConnection" => peering::create(world, query),
        "AcceptVpcPeeringConnection" => peering::accept(world, query),
        "RejectVpcPeeringConnection" => peering::reject(world, query),
        "DeleteVpcPeeringConnection" => peering::delete(world, query),
        "DescribeVpcPeeringConnections" => peering::describe_peering_connections(world, query),
        "ModifyVpcPeeringConnectionOptions" => peering::modify_options(world, query),
        "DescribeInstanceTypeOfferings" => catalog::describe_instance_type_offerings(world, query),
        "DescribeAccountAttributes" => catalog::describe_account_attributes(world, query),
        "CreateLaunchTemplate" => launch_template::create(world, query),
        "CreateLaunchTemplateVersion" => launch_template::create_version(world, query),
        "DescribeLaunchTemplates" => launch_template::describe_launch_templates(world, query),
        "DescribeLaunchTemplateVersions" => launch_template::describe_versions(world, query),
        "ModifyLaunchTemplate" => launch_template::modify(world, query),
        "DeleteLaunchTemplate" => launch_template::delete(world, query),
        "DeleteLaunchTemplateVersions" => launch_template::delete_versions(world, query),
        other => Err(ApiError::invalid_action(other)),
    }
} }
