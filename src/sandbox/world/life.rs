//! The life of instances and of what is attached to them: states, boots, public addresses that come and go.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Event, World};
use crate::model::{
    Address, AllocationId, Instance, InstanceId, InstanceState, InterfaceAssociation, InterfaceAttachment,
    InterfaceStatus, NetworkInterface, NetworkInterfaceId, StatusCheck, Subnet, Vpc,
};
use crate::sandbox::actions::ec2::{self, Family, family_of, private_dns_name};
use crate::sandbox::host::{Flavour, Launch, Machine, Nic, Nowhere};
use crate::sandbox::wire::{Request, Service};

impl World {
    pub(super) fn instance_runs(&mut self, id: &InstanceId) {
        let Some(instance) = self.get_mut::<Instance>(id) else { return };
        if instance.state != InstanceState::Pending {
            return;
        }
        instance.state = InstanceState::Running;
        for interface in self.network.network_interfaces.items_mut().values_mut() {
            if interface.instance_id() == Some(id)
                && let Some(attachment) = &mut interface.attachment
                && attachment.status == "attaching"
            {
                attachment.status = "attached".to_owned();
            }
        }
        self.recompute();
        if !self.machines.contains_key(id)
            && let Some(launch) = self.launch_of(id)
        {
            self.machines.insert(id.clone(), Machine::new(launch));
            ec2::renew_lease(self, id);
        }
        self.sync_machines();
        self.boot(id);
        self.schedule(self.delays.status_checks, Event::StatusChecksPassed(id.clone()));
    }

    /// What fck-nat's service asks of EC2 with its instance's role, as user data has written it in its configuration: a
    /// second interface, an Elastic IP on the first one, and no source/destination check there.
    fn fck_nat_calls(&mut self, id: &InstanceId) {
        let Some(machine) = self.machines.get(id).filter(|machine| machine.launch().fck_nat) else { return };
        let configuration = machine.file("/etc/fck-nat.conf").unwrap_or_default();
        let setting = |name: &str| {
            let lines = configuration.lines().filter_map(|line| line.trim().split_once('='));
            lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned()).next_back()
        };
        let (interface, address) = (setting("eni_id"), setting("eip_id"));
        let primary = self.get::<Instance>(id).and_then(|instance| instance.network_interface_ids.first()).cloned();
        let (Some(primary), Some(_)) = (primary, machine.launch().role.clone()) else { return };
        if let Some(allocation) = address.filter(|text| !text.is_empty()) {
            self.service_call(
                "AssociateAddress",
                &[
                    ("AllocationId", &allocation),
                    ("NetworkInterfaceId", primary.as_str()),
                    ("AllowReassociation", "true"),
                ],
            );
        }
        if let Some(second) = interface.filter(|text| !text.is_empty()) {
            let primary = primary.as_str();
            self.service_call(
                "ModifyNetworkInterfaceAttribute",
                &[("NetworkInterfaceId", primary), ("SourceDestCheck.Value", "false")],
            );
            let wanted = [("InstanceId", id.as_str()), ("DeviceIndex", "1"), ("NetworkInterfaceId", second.as_str())];
            self.service_call("AttachNetworkInterface", &wanted);
        }
    }

    /// A call that a host's service makes. One that is refused is the service's own misfortune, as on AWS.
    fn service_call(&mut self, action: &str, pairs: &[(&str, &str)]) {
        let request = Request::query(Service::Ec2, action, pairs.iter().copied());
        if let Err(error) = ec2::dispatch(self, &request) {
            tracing::debug!(action, %error, "a host's service was refused");
        }
    }

    fn boot(&mut self, id: &InstanceId) {
        self.with_machine(id, |machine, outside| machine.boot(outside));
        let now = self.now;
        if let Some(record) = self.records.instances.get_mut(id) {
            record.booted_at = Some(now);
        }
    }

    pub(super) fn instance_rebooted(&mut self, id: &InstanceId) {
        if self.get::<Instance>(id).is_some_and(|instance| instance.state == InstanceState::Running) {
            self.with_machine(id, |machine, _| machine.shutdown());
            self.boot(id);
            // What hung does not hang any more.
            if let Some(instance) = self.get_mut::<Instance>(id) {
                for check in [&mut instance.system_status, &mut instance.instance_status] {
                    if *check == Some(StatusCheck::Impaired) {
                        *check = Some(StatusCheck::Ok);
                    }
                }
            }
        }
    }

    pub(super) fn status_checks_passed(&mut self, id: &InstanceId) {
        self.fck_nat_calls(id);
        if let Some(instance) = self.get_mut::<Instance>(id)
            && instance.state == InstanceState::Running
        {
            for check in [&mut instance.system_status, &mut instance.instance_status] {
                if *check == Some(StatusCheck::Initializing) {
                    *check = Some(StatusCheck::Ok);
                }
            }
        }
    }

    pub(super) fn instance_stopped(&mut self, id: &InstanceId) {
        let Some(instance) = self.get_mut::<Instance>(id) else { return };
        if instance.state != InstanceState::Stopping {
            return;
        }
        instance.state = InstanceState::Stopped;
        for interface in self.network.network_interfaces.items_mut().values_mut() {
            let assigned_at_launch = interface.association.as_ref().is_some_and(|a| a.allocation_id.is_none());
            if interface.instance_id() == Some(id) && assigned_at_launch {
                interface.association = None;
            }
        }
        self.with_machine(id, |machine, _| machine.shutdown());
        if let Some(record) = self.records.instances.get_mut(id) {
            record.booted_at = None;
        }
    }

    pub(super) fn instance_terminated(&mut self, id: &InstanceId) {
        let Some(instance) = self.get_mut::<Instance>(id) else { return };
        if instance.state != InstanceState::ShuttingDown {
            return;
        }
        instance.state = InstanceState::Terminated;
        instance.vpc_id = None;
        instance.subnet_id = None;
        instance.private_ip = None;
        instance.public_ip = None;
        instance.security_group_ids.clear();
        let held: Vec<(NetworkInterfaceId, bool)> = self
            .all::<NetworkInterface>()
            .filter(|interface| interface.instance_id() == Some(id))
            .map(|interface| {
                let delete = interface.attachment.as_ref().is_some_and(|a| a.delete_on_termination);
                (interface.network_interface_id.clone(), delete)
            })
            .collect();
        for (interface_id, delete) in held {
            if delete {
                self.drop_interface(&interface_id);
            } else {
                self.set_free(&interface_id);
            }
        }
        for volume in self.records.volumes.values_mut() {
            if volume.attached_to.as_ref() == Some(id) && !volume.delete_on_termination {
                volume.attached_to = None;
            }
        }
        self.records.volumes.retain(|_, volume| volume.attached_to.as_ref() != Some(id));
        self.machines.remove(id);
        self.schedule(self.delays.forget, Event::InstanceForgotten(id.clone()));
    }

    pub(super) fn instance_forgotten(&mut self, id: &InstanceId) {
        if self.get::<Instance>(id).is_some_and(|instance| instance.state == InstanceState::Terminated) {
            self.remove::<Instance>(id);
            self.records.instances.remove(id);
        }
    }

    /// Takes an interface off its instance. An address that was assigned at launch is lost.
    fn set_free(&mut self, id: &NetworkInterfaceId) {
        let mut ended = None;
        if let Some(interface) = self.get_mut::<NetworkInterface>(id) {
            interface.status = InterfaceStatus::Available;
            ended = interface.attachment.take();
            if interface.association.as_ref().is_some_and(|a| a.allocation_id.is_none()) {
                interface.association = None;
            }
        }
        let now = self.now;
        if let Some(record) = self.records.interfaces.get_mut(id) {
            record.attached_at = None;
            record.auto_public_ip = false;
            record.detached = ended.map(|attachment| {
                (InterfaceAttachment { status: "detached".to_owned(), delete_on_termination: false, ..attachment }, now)
            });
        }
    }

    pub(super) fn interface_attached(&mut self, id: &NetworkInterfaceId) {
        let Some(interface) = self.get_mut::<NetworkInterface>(id) else { return };
        if interface.status != InterfaceStatus::Attaching {
            return;
        }
        interface.status = InterfaceStatus::InUse;
        if let Some(attachment) = &mut interface.attachment {
            attachment.status = "attached".to_owned();
        }
        let (Some(instance_id), Some(nic)) = (interface.instance_id().cloned(), self.nic_of(id)) else { return };
        self.with_machine(&instance_id, |machine, _| machine.attach_interface(nic));
    }

    pub(super) fn interface_detached(&mut self, id: &NetworkInterfaceId) {
        let Some(interface) = self.get::<NetworkInterface>(id) else { return };
        if interface.status != InterfaceStatus::Detaching {
            return;
        }
        let device = interface.attachment.as_ref().map(|attachment| attachment.device_index);
        if let (Some(instance_id), Some(device)) = (interface.instance_id().cloned(), device) {
            self.with_machine(&instance_id, |machine, _| machine.detach_interface(device));
        }
        self.set_free(id);
    }

    /// A started instance gets a new public address only if it had one by itself and has exactly one interface
    /// (EC2 user guide, "Public IPv4 addresses").
    pub(crate) fn give_public_ip_on_start(&mut self, id: &InstanceId) {
        let interfaces = self.network.interfaces_of(id).unwrap_or_default();
        let [only] = interfaces.as_slice() else { return };
        let (interface_id, has_one) = (only.network_interface_id.clone(), only.association.is_some());
        let wanted = self.records.interfaces.get(&interface_id).is_some_and(|record| record.auto_public_ip);
        if has_one || !wanted {
            return;
        }
        let public_ip = self.new_public_ip();
        if let Some(interface) = self.get_mut::<NetworkInterface>(&interface_id) {
            interface.association = Some(InterfaceAssociation { public_ip, allocation_id: None, association_id: None });
        }
    }

    /// Ends an Elastic IP's association. A running instance that came with a public address of its own and has one
    /// interface gets a new one.
    pub(crate) fn take_address_off(&mut self, id: &AllocationId) {
        let Some(address) = self.get_mut::<Address>(id) else { return };
        address.association_id = None;
        address.instance_id = None;
        address.private_ip = None;
        let Some(interface_id) = address.network_interface_id.take() else { return };
        let Some(interface) = self.get_mut::<NetworkInterface>(&interface_id) else { return };
        // One of a secondary private address leaves that of the primary one alone.
        if interface.association.as_ref().is_none_or(|a| a.allocation_id.as_ref() != Some(id)) {
            return;
        }
        interface.association = None;
        let instance_id = interface.instance_id().cloned();
        let running =
            |id: &InstanceId| self.get::<Instance>(id).is_some_and(|instance| instance.state == InstanceState::Running);
        if let Some(instance_id) = instance_id.filter(running) {
            self.give_public_ip_on_start(&instance_id);
        }
    }

    /// The card that a host sees for an interface. `None`: it is not attached, or has no IPv4 address.
    pub(super) fn nic_of(&self, id: &NetworkInterfaceId) -> Option<Nic> {
        let interface = self.get::<NetworkInterface>(id)?;
        let subnet = self.get::<Subnet>(&interface.subnet_id)?;
        let vpc = self.get::<Vpc>(&interface.vpc_id)?;
        Some(Nic {
            device_index: interface.attachment.as_ref()?.device_index,
            network_interface_id: id.as_str().to_owned(),
            mac_address: interface.mac_address.clone(),
            private_ip: interface.private_ip?,
            secondary_ips: interface.secondary_private_ips.clone(),
            subnet_id: interface.subnet_id.as_str().to_owned(),
            subnet: subnet.cidr_block?,
            vpc_id: interface.vpc_id.as_str().to_owned(),
            vpc_cidrs: vpc.cidr_blocks.clone(),
            public_ip: interface.public_ip(),
            security_group_ids: interface.security_group_ids.iter().map(ToString::to_string).collect(),
            ipv6_addresses: interface.ipv6_addresses.clone(),
            ipv6_subnet: subnet.ipv6_cidr_blocks.first().copied(),
        })
    }

    fn launch_of(&mut self, id: &InstanceId) -> Option<Launch> {
        let seed = self.random(|rng| rng.u64(..));
        let instance = self.get::<Instance>(id)?;
        let record = self.records.instances.get(id)?;
        let nics = instance.network_interface_ids.iter().filter_map(|id| self.nic_of(id)).collect();
        let profile = instance.instance_profile_arn.as_deref().and_then(|arn| self.iam.profile_by_arn(arn));
        let user_data = record.user_data.as_ref().and_then(|data| STANDARD.decode(data.trim()).ok());
        let family = family_of(instance.image_id.as_str());
        Some(Launch {
            flavour: match family {
                Family::AmazonLinux2023 | Family::FckNat => Flavour::AmazonLinux2023,
                Family::AmazonLinux2 => Flavour::AmazonLinux2,
            },
            fck_nat: family == Family::FckNat,
            instance_id: id.as_str().to_owned(),
            instance_type: instance.instance_type.clone(),
            region: self.region.clone(),
            zone: instance.availability_zone.clone(),
            image_id: instance.image_id.as_str().to_owned(),
            account_id: self.account_id.clone(),
            hostname: instance.private_ip.map(|ip| private_dns_name(&self.region, ip)).unwrap_or_default(),
            nics,
            user_data,
            http_tokens_required: instance.http_tokens.as_deref() == Some("required"),
            metadata_off: instance.http_endpoint.as_deref() == Some("disabled"),
            role: profile.and_then(|profile| profile.role.clone()),
            seed,
        })
    }

    /// Tells hosts what the metadata service knows of their interfaces: addresses and groups change while they run.
    pub(super) fn sync_machines(&mut self) {
        let ids: Vec<InstanceId> = self.machines.keys().cloned().collect();
        for id in ids {
            let Some(instance) = self.get::<Instance>(&id) else { continue };
            let nics: Vec<Nic> =
                instance.network_interface_ids.iter().filter_map(|interface_id| self.nic_of(interface_id)).collect();
            let Some(machine) = self.machines.get_mut(&id) else { continue };
            for fresh in nics {
                if let Some(nic) = machine.nic_mut(fresh.device_index)
                    && nic.network_interface_id == fresh.network_interface_id
                    && *nic != fresh
                {
                    *nic = fresh;
                }
            }
        }
    }

    /// Lets hosts live up to now: user data that sleeps goes on when its time has come.
    pub(super) fn advance_machines(&mut self) {
        let now = self.now;
        let booted: Vec<(InstanceId, std::time::Duration)> = self
            .machines
            .keys()
            .filter_map(|id| {
                let booted_at = self.records.instances.get(id)?.booted_at?;
                Some((id.clone(), std::time::Duration::try_from(now.duration_since(booted_at)).ok()?))
            })
            .collect();
        for (id, uptime) in booted {
            // Only user data that goes on needs the world; for all others the clock is set.
            match self.machines.get_mut(&id) {
                Some(machine) if !machine.is_busy() => machine.advance(uptime, &Nowhere),
                Some(_) => {
                    self.with_machine(&id, |machine, outside| machine.advance(uptime, outside));
                }
                None => {}
            }
        }
    }

    /// When a host that sleeps in its user data wants to go on.
    pub(super) fn next_wake(&self) -> Option<jiff::Timestamp> {
        let wake = |(id, machine): (&InstanceId, &Machine)| {
            let booted_at = self.records.instances.get(id)?.booted_at?;
            booted_at.saturating_add(machine.wakes_at()?).ok()
        };
        self.machines.iter().filter_map(wake).min()
    }
}
