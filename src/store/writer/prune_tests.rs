use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_step_takes_as_many_rows_as_fit_into_its_time() {
    let retention = Retention { records: DAY, ..Retention::default() };
    let mut pruning = Pruning::new(&retention, Timestamp::from_unix_ms(0));
    let mut paced = |millis| {
        pruning.pace(Duration::from_millis(millis));
        pruning.limit()
    };
    assert_eq!([5, 7, 10].map(&mut paced), [256; 3], "neither fast nor slow");
    assert_eq!([11, 60_000, 11, 11].map(&mut paced), [128, 64, 32, 32]);
    assert_eq!([0, 4, 1].map(&mut paced), [64, 128, 256]);
    assert_eq!([0; 6].map(&mut paced), [512, 1_024, 2_048, 4_096, 4_096, 4_096]);
}
