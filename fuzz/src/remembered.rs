//! The list of a user's remembered devices.

use totp_core::record::EnrollmentId;
use totp_core::remembered::{Arrival, Devices, Fingerprint, MOST_DEVICES, Terms};
use totp_core::time::UnixTime;

const TERMS: Terms = Terms { seconds: 30 * 86_400, same_network: false };

/// Nothing is read but what is written; a device of another enrollment, or out of its time, lets nobody in.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(mut devices) = Devices::parse(text) else { return };
    assert_eq!(devices.print(), text, "something was read that is never written");
    let all: Vec<Fingerprint> = devices.keys().collect();
    assert!(all.len() <= MOST_DEVICES);
    let enrollment = EnrollmentId::fresh([7; 8]);
    for now in [UnixTime(0), UnixTime(1_763_000_000), UnixTime::MAX] {
        for key in all.iter().copied().chain([Fingerprint([0; 32])]) {
            let arrival = Arrival { key, network: None, enrollment, now };
            if let Some(device) = devices.known(&arrival, &TERMS) {
                assert!(device.key == key && device.enrollment == enrollment);
                assert!(device.used <= now && now < device.until);
                assert!(now < device.added.plus(TERMS.seconds));
            }
            let strict = Terms { same_network: true, ..TERMS };
            assert!(devices.known(&arrival, &strict).is_none(), "from nowhere in particular");
        }
    }
    // Remembering, reading back and forgetting.
    let now = UnixTime(1_763_000_000);
    let arrival = Arrival { key: Fingerprint([9; 32]), network: None, enrollment, now };
    devices.remember(&arrival, &TERMS);
    let again = Devices::parse(&devices.print()).expect("what was printed can be read");
    assert_eq!(again, devices);
    assert!(again.known(&arrival, &TERMS).is_some() && again.keys().count() <= MOST_DEVICES);
    assert!(devices.forget(arrival.key) && devices.known(&arrival, &TERMS).is_none());
}
