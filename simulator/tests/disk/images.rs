//! Whole disks: kept, put back, copied.

use popmesh_simulator::disk::{DiskError, Disks, Kept};
use popmesh_store::StoreError;

use crate::{all, entries, numbers, open};

#[test]
fn a_disk_restored_from_an_image_is_what_it_was() {
    let mut disks = Disks::start(1).unwrap();
    let disk = disks.add();
    let mut store = open(&disk).unwrap();
    store.append(&entries(1, 500), &[]).unwrap();
    let yesterday = disk.image();
    let digest = yesterday.digest();
    store.append(&entries(501, 500), &[]).unwrap();
    store.close().unwrap();
    assert_ne!(disk.image().digest(), digest);

    disk.restore(&yesterday).unwrap();
    assert_eq!(disk.image().digest(), digest);
    assert_eq!(disk.used_bytes(), yesterday.length_bytes());
    // All of it is durable.
    disk.cut(Kept::Nothing);
    disk.power_on().unwrap();
    let mut store = open(&disk).unwrap();
    assert_eq!(all(&store), numbers(1, 500));
    store.append(&entries(2_001, 10), &[]).unwrap();
    assert_eq!(yesterday.digest(), digest, "the image is not written to");
}

#[test]
fn a_copied_disk_goes_its_own_way() {
    let mut disks = Disks::start(1).unwrap();
    let (disk, copy) = (disks.add(), disks.add());
    let mut store = open(&disk).unwrap();
    store.append(&entries(1, 10), &[]).unwrap();
    copy.restore(&disk.image()).unwrap();
    let mut other = open(&copy).unwrap();
    store.append(&entries(11, 10), &[]).unwrap();
    other.append(&entries(101, 10), &[]).unwrap();
    assert_eq!(all(&store), numbers(1, 20));
    assert_eq!(all(&other), [numbers(1, 10), numbers(101, 10)].concat());
}

#[test]
fn disks_do_not_mix_and_lose_their_power_alone() {
    let mut disks = Disks::start(1).unwrap();
    let all_disks: Vec<_> = (0..5).map(|_| disks.add()).collect();
    let mut stores: Vec<_> = all_disks.iter().map(|disk| open(disk).unwrap()).collect();
    for turn in 0..20 {
        for (number, store) in (0..).zip(&mut stores) {
            store.append(&entries(number * 1_000 + turn, 1), &[]).unwrap();
        }
    }
    all_disks[2].cut(Kept::Nothing);
    stores[2].append(&entries(9_000, 1), &[]).unwrap_err();
    stores[3].append(&entries(3_020, 1), &[]).unwrap();
    stores[3].append(&entries(3_021, 1), &[]).unwrap();
    stores.clear();
    all_disks[2].power_on().unwrap();
    for (number, disk) in (0..).zip(&all_disks) {
        let count = if number == 3 { 22 } else { 20 };
        assert_eq!(all(&open(disk).unwrap()), numbers(number * 1_000, count), "disk {number}");
    }
}

#[test]
fn a_disk_in_use_is_neither_turned_on_nor_restored() {
    let mut disks = Disks::start(1).unwrap();
    let disk = disks.add();
    let mut store = open(&disk).unwrap();
    let image = disk.image();
    assert!(matches!(disk.restore(&image), Err(DiskError::InUse { .. })));
    assert!(matches!(open(&disk), Err(StoreError::InUse { .. })));
    disk.cut(Kept::Nothing);
    assert!(matches!(disk.power_on(), Err(DiskError::InUse { files: 2, .. })), "{:?}", disk.power_on());
    store.append(&entries(1, 1), &[]).unwrap_err();
    drop(store);
    disk.power_on().unwrap();
    disk.restore(&image).unwrap();
}
