/// A number that follows from these two, evenly over all 64 bits, and looks like chance (splitmix64).
pub(super) fn mixed(seed: u64, nth: u64) -> u64 {
    let mut mix = seed.wrapping_add(nth.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mix = (mix ^ (mix >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mix = (mix ^ (mix >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mix ^ (mix >> 31)
}

/// A part of one, evenly from 0 up to 1.
pub(super) fn part(seed: u64, nth: u64) -> f64 {
    // 32 bits are finer than anything that is made of it.
    f64::from(u32::try_from(mixed(seed, nth) >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}
