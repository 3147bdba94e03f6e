//! The owner: types the code the phone shows, waits for the next one where asked, three in a row where told, and
//! sometimes mistypes.

use totp_core::dialogue::login::{AGAIN, End, PROMPT};
use totp_core::evaluate::By;
use totp_core::origin::Origin;
use totp_core::time::{Step, UnixTime};

use crate::world::World;

/// How long it takes to read a code and type it.
const TYPING: u64 = 4;
/// Seconds that the phone's clock gains in a year: four times what a quartz watch may.
const GAIN: u64 = 240;

/// How a login went.
pub struct Entrance {
    /// How many codes were needed.
    pub codes: usize,
    /// How many dialogues.
    pub dialogues: u32,
    /// Seconds from the first prompt to the end.
    pub seconds: u64,
}

/// The step the phone shows, by its own clock.
fn shown(now: UnixTime, world: &World) -> Step {
    world.totp(0).step(phone_time(now))
}

fn phone_time(now: UnixTime) -> UnixTime {
    let gone = now.since(crate::world::START);
    now.plus(gone * GAIN / crate::world::YEAR)
}

/// Waits until the phone shows the code of `step`.
fn wait_for(world: &mut World, step: Step) {
    while shown(world.now, world) < step {
        world.now = world.now.plus(1);
    }
}

/// Another last digit.
fn slip(code: &str) -> String {
    let (start, last) = code.split_at(code.len() - 1);
    format!("{start}{}", (last.parse::<u8>().unwrap() + 1) % 10)
}

/// One login from `origin`; `meanwhile` happens before each answer reaches the host, at the worst moment.
pub fn log_in(
    world: &mut World,
    origin: &Origin,
    mistyped: bool,
    mut meanwhile: impl FnMut(&mut World),
) -> Entrance {
    let began = world.now;
    let mut last = Step(0);
    let mut slips = mistyped;
    let end = world.log_in(
        origin,
        |world, prompt| {
            assert!([PROMPT, AGAIN].contains(&prompt));
            if prompt == AGAIN {
                wait_for(world, last.moved(1));
            }
            last = shown(world.now, world);
            let code = world.code(last);
            world.now = world.now.plus(TYPING);
            meanwhile(world);
            Some(if std::mem::take(&mut slips) { slip(&code) } else { code })
        },
        |_| {},
    );
    if let End::Accepted(accepted) = end {
        let By::Totp { codes, .. } = accepted.by() else { panic!("{accepted:?}") };
        return Entrance { codes: *codes, dialogues: 1, seconds: world.now.since(began) };
    }
    // "Not accepted. If your codes were right, type three in a row at the first prompt."
    let end = world.log_in(
        origin,
        |world, prompt| {
            assert_eq!(prompt, PROMPT, "three codes in a row are never refused");
            let mut codes = String::new();
            let from = shown(world.now, world);
            for n in 0..3 {
                wait_for(world, from.moved(n));
                codes += &world.code(from.moved(n));
                world.now = world.now.plus(TYPING);
            }
            meanwhile(world);
            Some(codes)
        },
        |_| {},
    );
    let End::Accepted(accepted) = end else { panic!("the owner is kept out") };
    let By::Totp { codes, .. } = accepted.by() else { panic!("{accepted:?}") };
    Entrance { codes: *codes, dialogues: 2, seconds: world.now.since(began) }
}
