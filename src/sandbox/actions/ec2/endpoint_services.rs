//! The services that endpoints can lead to.

use super::describe::{Filters, PAGES, many, one, page};
use super::endpoint::{GATEWAY_SERVICES, INTERFACE_SERVICES, private_name};
use super::{Answer, catalog};
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// DescribeVpcEndpointServices
pub fn describe_services(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("ServiceName");
    let zones = catalog::zones(&world.region);
    let kinds = GATEWAY_SERVICES.iter().map(|name| (name, "Gateway"));
    let all = kinds.chain(INTERFACE_SERVICES.iter().map(|name| (name, "Interface")));
    let mut rows = Vec::new();
    for (name, kind) in all {
        let service_name = format!("com.amazonaws.{}.{name}", world.region);
        if !asked.is_empty() && !asked.contains(&service_name.as_str()) {
            continue;
        }
        let accepted = filters.accept(&Tags::default(), |filter| match filter {
            "owner" => one("amazon"),
            "service-name" => one(&service_name),
            "service-region" => one(&world.region),
            "service-type" => one(kind),
            "supported-ip-address-types" => many(["ipv4"]),
            _ => None,
        })?;
        if !accepted {
            continue;
        }
        let private = private_name(name, &world.region);
        let named = (kind == "Interface").then_some(&private);
        let row = Xml::new()
            .text("serviceName", &service_name)
            .items("serviceType", [Xml::new().text("serviceType", kind)])
            .text("serviceRegion", &world.region)
            .values("availabilityZoneSet", &zones)
            .text("owner", "amazon")
            .values("baseEndpointDnsNameSet", [&private])
            .opt("privateDnsName", named)
            .items("privateDnsNameSet", named.map(|name| Xml::new().text("privateDnsName", name)))
            .text("vpcEndpointPolicySupported", true)
            .text("acceptanceRequired", false)
            .text("managesVpcEndpoints", false)
            .items("tagSet", [])
            .values("supportedIpAddressTypeSet", ["ipv4"]);
        rows.push((format!("{service_name} {kind}"), (service_name, row)));
    }
    for name in asked {
        if !rows.iter().any(|(_, (known, _))| known == name) {
            return Err(ApiError::new(
                "InvalidServiceName",
                format!("The Vpc Endpoint Service '{name}' does not exist"),
            ));
        }
    }
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, token) = page(query, PAGES, rows)?;
    let (mut names, details): (Vec<String>, Vec<Xml>) = page.into_iter().unzip();
    names.dedup();
    let answer = Xml::new().values("serviceNameSet", names).items("serviceDetailSet", details).opt("nextToken", token);
    Ok(Body::Xml(answer))
}
