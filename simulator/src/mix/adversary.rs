//! Nights with a device that cheats all the time, of any role: it must not be the only way between others, who would rightly
//! cut it off.

use popmesh_proto::identity::Role;

use crate::random::Random;
use crate::scenario::{DeviceSpec, Scenario};

/// So many devices there are at least: the one that cheats, and who has to agree without it.
const LEAST_DEVICES: usize = 4;

/// Changes a drawn night so that it has room for an adversary.
pub(super) fn draw(scenario: &mut Scenario, random: &mut Random) {
    while scenario.devices.len() < LEAST_DEVICES {
        let Some(like) = scenario.devices.last().cloned() else { return };
        let number = scenario.devices.len();
        let roles = [Role::Pos, Role::Locker, Role::Encoder, Role::Hq];
        let role = *random.pick(&roles).unwrap_or(&Role::Pos);
        let name = format!("{role}-{number}0");
        scenario.devices.push(DeviceSpec { name, roles: [role].into_iter().collect(), ..like });
    }
    for device in &mut scenario.devices {
        device.wifi = true;
    }
}
