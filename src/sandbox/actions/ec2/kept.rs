//! Resources that only the records hold, because nothing but EC2's answers needs them: volumes, launch templates,
//! DHCP options and their like. The counterpart of [`super::noun`].

use std::collections::BTreeMap;

use super::describe::{FilterValues, Filters, PageSize, page};
use super::noun::Kind;
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{
    DhcpOptions, FlowLog, LaunchTemplate, Peering, PrefixListRecord, Records, Snapshot, Volume, World,
};

/// A kind of resource that the records hold by identifier.
pub trait Kept: Sized + 'static {
    const KIND: Kind;
    fn all(records: &Records) -> &BTreeMap<String, Self>;
    fn all_mut(records: &mut Records) -> &mut BTreeMap<String, Self>;
    fn tags(&self) -> &Tags;
    fn tags_mut(&mut self) -> &mut Tags;
}

macro_rules! kept {
    ($($name:ident $part:ident $prefix:literal $malformed:literal $not_found:literal $missing:literal $tag_type:literal;)+) => {
        $(impl Kept for $name {
            const KIND: Kind = Kind {
                prefix: $prefix,
                malformed: $malformed,
                not_found: $not_found,
                missing: $missing,
                tag_type: $tag_type,
            };

            fn all(records: &Records) -> &BTreeMap<String, Self> {
                &records.$part
            }

            fn all_mut(records: &mut Records) -> &mut BTreeMap<String, Self> {
                &mut records.$part
            }

            fn tags(&self) -> &Tags {
                &self.tags
            }

            fn tags_mut(&mut self) -> &mut Tags {
                &mut self.tags
            }
        })+

        /// The tags of a resource in the records, by its identifier. `None`: no kind of resource has such identifiers.
        pub fn tags_mut<'a>(records: &'a mut Records, id: &str) -> Option<Result<&'a mut Tags, ApiError>> {
            $(if id.starts_with($name::KIND.prefix) {
                let found = $name::all_mut(records).get_mut(id).map($name::tags_mut);
                return Some(found.ok_or_else(|| $name::KIND.not_found(id)));
            })+
            None
        }

        /// Identifier, type and tags of everything that has tags.
        pub fn tagged(records: &Records) -> Vec<(String, &'static str, &Tags)> {
            let mut all = Vec::new();
            $(all.extend($name::all(records).iter().map(|(id, kept)| (id.clone(), $name::KIND.tag_type, kept.tags())));)+
            all
        }
    };
}

kept! {
    Volume volumes "vol-" "InvalidVolumeID.Malformed" "InvalidVolume.NotFound" "The volume '{}' does not exist." "volume";
    Snapshot snapshots "snap-" "InvalidSnapshotID.Malformed" "InvalidSnapshot.NotFound" "The snapshot '{}' does not exist." "snapshot";
    LaunchTemplate launch_templates "lt-" "InvalidLaunchTemplateId.Malformed" "InvalidLaunchTemplateId.NotFound" "The specified launch template, with template ID {}, does not exist." "launch-template";
    DhcpOptions dhcp_options "dopt-" "InvalidDhcpOptionsId.Malformed" "InvalidDhcpOptionID.NotFound" "The dhcpOption ID '{}' does not exist" "dhcp-options";
    PrefixListRecord prefix_lists "pl-" "InvalidPrefixListId.Malformed" "InvalidPrefixListID.NotFound" "The prefix list ID '{}' does not exist" "prefix-list";
    Peering peerings "pcx-" "InvalidVpcPeeringConnectionId.Malformed" "InvalidVpcPeeringConnectionID.NotFound" "The vpcPeeringConnection ID '{}' does not exist" "vpc-peering-connection";
    FlowLog flow_logs "fl-" "InvalidFlowLogId.Malformed" "InvalidFlowLogId.NotFound" "The specified flow log {} does not exist" "vpc-flow-log";
}

impl World {
    /// The resource in the records that a request names.
    pub fn kept<T: Kept>(&self, id: &str) -> Result<&T, ApiError> {
        T::KIND.check(id)?;
        T::all(&self.records).get(id).ok_or_else(|| T::KIND.not_found(id))
    }
}

/// A whole Describe action for a kind of resource in the records.
pub fn describe_kept<T: Kept>(
    world: &World,
    query: &Query,
    (ids, set): (&str, &str),
    size: PageSize,
    values: impl Fn(&str, &T, &str) -> FilterValues,
    render: impl Fn(&str, &T) -> Xml,
) -> Result<Body, ApiError> {
    let filters = Filters::parse(query)?;
    let asked = query.list(ids);
    for id in &asked {
        world.kept::<T>(id)?;
    }
    let mut chosen = Vec::new();
    for (id, kept) in T::all(&world.records) {
        let named = asked.is_empty() || asked.contains(&id.as_str());
        if named && filters.accept(kept.tags(), |name| values(id, kept, name))? {
            chosen.push((id.clone(), (id, kept)));
        }
    }
    let (page, token) = page(query, size, chosen)?;
    let rows = page.into_iter().map(|(id, kept)| render(id, kept));
    Ok(Body::Xml(Xml::new().items(set, rows).opt("nextToken", token)))
}
