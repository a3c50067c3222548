//! Looks at an adapter before anybody relies on it: whether it can be had, answers, and does what links need.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::adapter::{Adapter, Wires};

/// The adapter has this long to be opened, and for each answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Events that are no answer, before the adapter is taken for something else.
const OTHERS_MAX: usize = 64;

const RESET: u16 = 0x0c03;
const READ_VERSION: u16 = 0x1001;
const READ_FEATURES: u16 = 0x1003;
const READ_LE_STATES: u16 = 0x201c;

/// Bit 38 of the features: the controller speaks LE.
const LE: u64 = 1 << 38;

/// What an adapter has to do at once for several links in both roles (Core specification, volume 4, part E, 7.8.27):
/// listen while it can be connected to (10), and in either role also listen (24, 26), connect to others (28, 41), and be
/// connected to (35, 38).
const SEVERAL_LINKS: u64 = 1 << 10 | 1 << 24 | 1 << 26 | 1 << 28 | 1 << 41 | 1 << 35 | 1 << 38;

/// What was found. How many links it allows is not in it: no adapter tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// The version of Bluetooth, as HCI numbers it: 9 is 5.0.
    pub version: u8,
    /// Whether it says that it can do all that several links in both roles need.
    pub several_links: bool,
}

/// Why an adapter is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The system knows no Bluetooth.
    #[error("this system has no Bluetooth")]
    NoBluetooth,
    /// There is no such adapter.
    #[error("there is no such adapter")]
    NotThere,
    /// Nobody listens at the address.
    #[error("nothing listens there")]
    Refused,
    /// The system does not let this program have it.
    #[error("this program may not take it")]
    NotPermitted,
    /// Somebody else has it.
    #[error("something else uses it")]
    Held,
    /// It is switched off by a switch for all radios.
    #[error("it is switched off")]
    Blocked,
    /// What is there is no serial line.
    #[error("it is no serial line")]
    NotSerial,
    /// It cannot be opened.
    #[error("it cannot be opened: {0}")]
    Unopened(io::Error),
    /// It does not answer.
    #[error("it does not answer")]
    Silent,
    /// It went away.
    #[error("it went away: {0}")]
    Gone(io::Error),
    /// It speaks something else than HCI, or refuses what every adapter does.
    #[error("what it answers is not HCI")]
    Nonsense,
    /// It speaks no LE.
    #[error("it speaks classic Bluetooth alone, without LE")]
    NotLe,
}

impl Adapter {
    /// Takes the adapter for a moment and asks what it is. It is reset by that.
    ///
    /// # Errors
    /// If it cannot be had, or is of no use.
    pub async fn examine(&self) -> Result<Examined, Unfit> {
        let opened = timeout(ANSWERS_WITHIN, self.open()).await.map_err(|_| Unfit::Silent)?;
        let mut wires = opened.map_err(|error| unopened(error, self))?;
        let mut ask = async |command| {
            timeout(ANSWERS_WITHIN, answer(&mut wires, command)).await.unwrap_or(Err(Unfit::Silent))
        };
        ask(RESET).await?;
        let version = *ask(READ_VERSION).await?.first().ok_or(Unfit::Nonsense)?;
        if number(&ask(READ_FEATURES).await?)? & LE == 0 {
            return Err(Unfit::NotLe);
        }
        let states = number(&ask(READ_LE_STATES).await?)?;
        Ok(Examined { version, several_links: states & SEVERAL_LINKS == SEVERAL_LINKS })
    }
}

fn number(bytes: &[u8]) -> Result<u64, Unfit> {
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).ok_or(Unfit::Nonsense)
}

/// What the system said, in the words of whoever has to do something about it.
fn unopened(error: io::Error, adapter: &Adapter) -> Unfit {
    const ENODEV: i32 = 19;
    const ENOTTY: i32 = 25;
    const ENXIO: i32 = 6;
    const EBUSY: i32 = 16;
    const EPROTONOSUPPORT: i32 = 93;
    const EAFNOSUPPORT: i32 = 97;
    const ERFKILL: i32 = 132;
    match (error.raw_os_error(), error.kind(), adapter) {
        (Some(EAFNOSUPPORT | EPROTONOSUPPORT), _, Adapter::Linux(_)) => Unfit::NoBluetooth,
        (Some(ENOTTY), _, Adapter::Serial(_)) => Unfit::NotSerial,
        (Some(ERFKILL), ..) => Unfit::Blocked,
        (Some(EBUSY), ..) => Unfit::Held,
        (Some(ENODEV | ENXIO), ..) | (_, io::ErrorKind::NotFound, _) => Unfit::NotThere,
        (_, io::ErrorKind::PermissionDenied, _) => Unfit::NotPermitted,
        (_, io::ErrorKind::ConnectionRefused, _) => Unfit::Refused,
        _ => Unfit::Unopened(error),
    }
}

/// What an adapter answers to a command without parameters.
async fn answer(wires: &mut Wires, command: u16) -> Result<Vec<u8>, Unfit> {
    const EVENT: u8 = 4;
    const COMMAND_COMPLETE: u8 = 0x0e;
    let [low, high] = command.to_le_bytes();
    wires.to.write_all(&[1, low, high, 0]).await.map_err(Unfit::Gone)?;
    wires.to.flush().await.map_err(Unfit::Gone)?;
    // What it said to whoever had it before may still come.
    for _ in 0..OTHERS_MAX {
        if wires.from.read_u8().await.map_err(Unfit::Gone)? != EVENT {
            return Err(Unfit::Nonsense);
        }
        let code = wires.from.read_u8().await.map_err(Unfit::Gone)?;
        let mut event = vec![0; usize::from(wires.from.read_u8().await.map_err(Unfit::Gone)?)];
        wires.from.read_exact(&mut event).await.map_err(Unfit::Gone)?;
        if code == COMMAND_COMPLETE
            && let [_, of_low, of_high, status, answer @ ..] = &event[..]
            && [*of_low, *of_high] == [low, high]
        {
            return if *status == 0 { Ok(answer.to_vec()) } else { Err(Unfit::Nonsense) };
        }
    }
    Err(Unfit::Nonsense)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_understood() {
        let linux = Adapter::Linux(0);
        let serial = Adapter::Serial("/dev/ttyACM0".into());
        let of = |code, adapter: &Adapter| unopened(io::Error::from_raw_os_error(code), adapter);
        assert!(matches!(of(97, &linux), Unfit::NoBluetooth));
        assert!(matches!(of(19, &linux), Unfit::NotThere));
        assert!(matches!(of(1, &linux), Unfit::NotPermitted), "EPERM");
        assert!(matches!(of(16, &linux), Unfit::Held));
        assert!(matches!(of(132, &linux), Unfit::Blocked));
        assert!(matches!(of(13, &serial), Unfit::NotPermitted), "EACCES");
        assert!(matches!(of(2, &serial), Unfit::NotThere));
        assert!(matches!(of(25, &serial), Unfit::NotSerial));
        assert!(matches!(of(5, &serial), Unfit::Unopened(_)));
    }

    async fn asked(answers: &[u8]) -> Result<Vec<u8>, Unfit> {
        let mut wires =
            Wires { from: Box::new(io::Cursor::new(answers.to_vec())), to: Box::new(tokio::io::sink()) };
        answer(&mut wires, READ_VERSION).await
    }

    #[tokio::test]
    async fn an_answer_is_told_from_anything_else() {
        let good = [4, 0x0e, 6, 1, 0x01, 0x10, 0, 9, 7];
        assert_eq!(asked(&good).await.unwrap(), [9, 7]);
        let other = [4, 0x0e, 4, 1, 0x03, 0x0c, 0];
        assert_eq!(asked(&[&other[..], &good].concat()).await.unwrap(), [9, 7], "of an earlier command");
        assert!(matches!(asked(&other).await, Err(Unfit::Gone(_))));
        assert!(matches!(asked(&[4, 0x0e, 4, 1, 0x01, 0x10, 1]).await, Err(Unfit::Nonsense)));
        assert!(matches!(asked(b"login: ").await, Err(Unfit::Nonsense)));
        assert!(matches!(asked(&other.repeat(OTHERS_MAX)).await, Err(Unfit::Nonsense)), "without end");
    }
}
