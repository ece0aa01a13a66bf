//! Several encoders make one stream: each begins at a checkpoint, and ends at the next.

use barge::regzip::{Checkpoint, Encoder, HISTORY, ResumeError};

use super::inputs::Random;
use super::{LEVELS, assert_same, deflate, joined, level};

fn checkpoints(number: i8, data: &[u8], every: u64) -> Vec<Checkpoint> {
    let mut encoder = Encoder::new(level(number)).checkpoints_every(every);
    encoder.write(data, &mut std::io::sink()).unwrap();
    encoder.take_checkpoints()
}

/// Content with blocks of all kinds, some of which begin in one window and end in another.
fn content() -> Vec<u8> {
    let mut random = Random::new(6);
    let mut data = random.mixed(700_000);
    data.extend(random.text(400_000));
    data.extend(random.bytes(200_000));
    data.extend(vec![0; 4_500_000]);
    data.extend(random.mixed(300_000));
    data
}

#[test]
fn pieces_between_checkpoints_are_the_whole() {
    let data = content();
    for number in LEVELS {
        let whole = deflate(number, &data);
        let all = checkpoints(number, &data, 1);
        assert!(all.len() > 12, "level {number} has {} blocks", all.len());
        // whether a piece has one block or several is the same to all levels of a method
        for nth in if [0, 1, 3, 6].contains(&number) { vec![1, 5] } else { vec![1] } {
            let joined = joined(level(number).into(), &data, all.iter().step_by(nth));
            assert_same(&joined, &whole, &format!("level {number}, every {nth}th block"));
        }
    }
}

#[test]
fn checkpoints_are_as_far_apart_as_wished_and_small() {
    let data = content();
    for number in LEVELS {
        let all = checkpoints(number, &data, 1 << 20);
        assert!((2..=7).contains(&all.len()), "level {number}: {}", all.len());
        let positions: Vec<u64> = all.iter().map(|it| it.position).collect();
        assert!(positions.windows(2).all(|pair| pair[1] - pair[0] >= 1 << 20), "level {number}: {positions:?}");
        assert!(all.iter().all(|it| it.findable.is_some() == (1..=3).contains(&number)));
    }
}

#[test]
fn a_checkpoint_that_cannot_be_is_refused() {
    let data = content();
    let good = checkpoints(6, &data, 1).pop().unwrap();
    let at = usize::try_from(good.position).unwrap();
    let history = &data[at - good.history(level(6))..at];
    Encoder::resume(level(6), &good, history).unwrap();
    let short = Encoder::resume(level(6), &good, &history[1..]).unwrap_err();
    assert_eq!(short, ResumeError::History { got: history.len() - 1, expected: history.len() });
    let refused = |change: fn(&mut Checkpoint)| {
        let mut bad = good.clone();
        change(&mut bad);
        Encoder::resume(level(6), &bad, history).unwrap_err()
    };
    for change in [
        |it: &mut Checkpoint| it.found = Some((3, 1)),
        |it: &mut Checkpoint| it.found = Some((259, 1)),
        |it: &mut Checkpoint| it.found = Some((258, 0)),
        |it: &mut Checkpoint| it.findable = Some(Box::new([0; HISTORY / 8])),
        |it: &mut Checkpoint| it.window += 1,
        |it: &mut Checkpoint| it.partial = 255,
        |it: &mut Checkpoint| (it.waiting, it.found) = (false, Some((258, 1))),
    ] {
        assert_eq!(refused(change), ResumeError::State);
    }
}

#[test]
fn where_no_block_ends_nothing_stops() {
    let data = content();
    let mut encoder = Encoder::new(level(6)).until(12_345);
    encoder.write(&data, &mut std::io::sink()).unwrap();
    let error = encoder.finish(&mut std::io::sink()).unwrap_err();
    assert_eq!(error.to_string(), "no block ends where to stop");
}
