//! The page on rehearsals, docs/rehearsal.md: every command block is typed as printed, and answers what is printed.

use std::path::Path;

use popmesh_pages::reader::ThisMachine;
use popmesh_pages::{Page, Reader};

#[test]
fn the_page_on_rehearsals_is_as_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rehearsal.md");
    let page = Page::read(&page).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_popmesh-sim"));
    Reader::new(ThisMachine, &[("popmesh-sim", program)]).unwrap().read(&page).unwrap();
}
