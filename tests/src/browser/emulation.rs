//! Another screen, a slow processor, no network, other wishes of the person.

use anyhow::Result;
use serde_json::{Value, json};

use super::Page;

/// A size of the window, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// A laptop, a tablet held upright, a phone.
pub const SIZES: [Size; 3] =
    [Size { width: 1280, height: 800 }, Size { width: 820, height: 1180 }, Size { width: 390, height: 844 }];

impl std::fmt::Display for Size {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}x{}", self.width, self.height)
    }
}

/// What a person has told the system that all pages should heed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Media {
    /// Dark, not light.
    pub dark: bool,
    /// Nothing moves.
    pub reduced_motion: bool,
    /// More contrast.
    pub more_contrast: bool,
    /// The system's own few colours.
    pub forced_colors: bool,
}

impl Page<'_> {
    /// Gives the page a window of this size.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn resize(&self, size: Size) -> Result<()> {
        let metrics =
            json!({"width": size.width, "height": size.height, "deviceScaleFactor": 1, "mobile": false});
        self.protocol("Emulation.setDeviceMetricsOverride", metrics).map(drop)
    }

    /// Has the system say what the person wishes.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn wish(&self, media: Media) -> Result<()> {
        let feature = |name: &str, on: bool, yes: &str, no: &str| -> Value {
            json!({"name": name, "value": if on { yes } else { no }})
        };
        let features = [
            feature("prefers-color-scheme", media.dark, "dark", "light"),
            feature("prefers-reduced-motion", media.reduced_motion, "reduce", "no-preference"),
            feature("prefers-contrast", media.more_contrast, "more", "no-preference"),
            feature("forced-colors", media.forced_colors, "active", "none"),
        ];
        self.protocol("Emulation.setEmulatedMedia", json!({ "features": features })).map(drop)
    }

    /// Slows the processor down by a factor; 1 is its own speed.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn slow_down(&self, factor: u32) -> Result<()> {
        self.protocol("Emulation.setCPUThrottlingRate", json!({ "rate": factor })).map(drop)
    }

    /// Cuts the page off from its network, or heals it. What streams already goes on.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub fn set_network(&self, on: bool) -> Result<()> {
        self.protocol("Network.enable", json!({}))?;
        let none = json!({"offline": !on, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.protocol("Network.emulateNetworkConditions", none).map(drop)
    }
}
