//! A first sale, walked by visible labels alone: somebody who has never seen the page reads what is on it and taps that.

use anyhow::{Result, ensure};
use popmesh_tests::browser::{SIZES, Settings, watched};

use crate::shop::{TILLS, claims, open};

/// One thing that is paid in cash takes so many taps at most.
const TAPS: usize = 3;

#[test]
fn a_first_sale_takes_three_taps_by_what_is_written() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    for size in SIZES {
        watched(&Settings::default(), |browser| {
            let page = browser.open(&stage.page("till-1", "")?)?;
            page.resize(size)?;
            page.button("Tour cap").tap()?;
            page.button("Pay €25.00").tap()?;
            page.button("Exact: €25.00").tap()?;
            page.wait_for("Hand it over now.")?;
            println!("{size}: {} taps", browser.taps());
            ensure!(browser.taps() <= TAPS, "{} taps at {size}", browser.taps());
            page.button("Next sale").tap()?;
            page.wait_for_end_of("Hand it over now.")
        })?;
    }
    let sold = claims(stage.device("till-1")?, "redeemed")?;
    assert_eq!(sold.len(), SIZES.len());
    for claim in sold {
        assert_eq!(
            (&claim["payments"][0]["tender"], &claim["total"]),
            (&"cash".into(), &2500.into()),
            "{claim}"
        );
    }
    Ok(())
}
