//! How long taps take to their answers, measured in the page.

use std::fmt;

use anyhow::{Context, Result, ensure};
use popmesh_tests::Page;
use serde_json::json;

/// Sells one thing as a person does, and answers how long each tap took until the page showed what comes of it, milliseconds:
/// the product, the cart's button, the cash.
const SALE: &str = "
    const [product, done] = arguments;
    const main = document.querySelector('main');
    const named = (name) => [...main.querySelectorAll('button')].find((one) => one.innerText.includes(name) && !one.disabled);
    const tap = (name, shows) => new Promise((shown, failed) => {
        const button = named(name);
        if (!button) return failed(new Error(`no button ${name}`));
        const began = performance.now();
        const late = setTimeout(() => failed(new Error(`nothing came of ${name}`)), 60_000);
        const look = () => {
            if (!shows()) return requestAnimationFrame(look);
            clearTimeout(late);
            shown(performance.now() - began);
        };
        button.click();
        look();
    });
    const says = (text) => () => main.textContent.includes(text);
    (async () => {
        const times = [await tap(product, () => named('Pay €'))];
        times.push(await tap('Pay €', () => named('Exact: €')));
        times.push(await tap('Exact: €', says('Hand it over now.')));
        await tap('Next sale', says('Tap a product, or scan it.'));
        return times;
    })().then(done, (error) => done(String(error)));";

/// Times of taps.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    /// Taps that the page answers by itself.
    own: Vec<f64>,
    /// Taps that the node answers, when the sale is stored.
    sales: Vec<f64>,
}

impl Taps {
    /// Sells one, and notes the times.
    pub(crate) fn sell(&mut self, page: &Page<'_>, product: &str) -> Result<()> {
        let said = page.script_that_waits(SALE, json!([product]))?;
        let times: Vec<f64> =
            serde_json::from_value(said.clone()).with_context(|| format!("no sale: {said}"))?;
        ensure!(times.len() == 3, "{times:?}");
        self.own.extend(&times[..2]);
        self.sales.push(times[2]);
        Ok(())
    }

    /// Of a hundred taps on the cash 95 are answered within so many milliseconds.
    pub(crate) fn p95(&self) -> f64 {
        quantile(&self.sales, 0.95)
    }
}

impl fmt::Display for Taps {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "{} sales, tap to answer p50 {:.0} ms, p95 {:.0} ms; taps that the page answers p50 {:.0} ms, p95 {:.0} ms",
            self.sales.len(),
            quantile(&self.sales, 0.5),
            self.p95(),
            quantile(&self.own, 0.5),
            quantile(&self.own, 0.95)
        )
    }
}

fn quantile(times: &[f64], part: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let at = (times.len() as f64 * part).ceil() as usize;
    times.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
