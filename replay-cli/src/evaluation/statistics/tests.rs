use super::generator::Generator;
use super::*;

#[test]
fn pass_at_k_is_the_share_of_subsets_with_a_right_one() {
    for samples in 1..=10u32 {
        for correct in 0..=samples {
            for k in 1..=samples {
                // The first `correct` samples are the right ones.
                let subsets = (0u32..1 << samples).filter(|set| set.count_ones() == k);
                let (all, hit) =
                    subsets.fold((0, 0), |(all, hit), set| (all + 1, hit + u32::from(set & ((1 << correct) - 1) != 0)));
                let expected = f64::from(hit) / f64::from(all);
                let got = pass_at(samples, correct, k).unwrap();
                assert!((got - expected).abs() < 1e-12, "{correct} of {samples}, k {k}: {got}, not {expected}");
            }
        }
    }
}

#[test]
fn pass_at_k_of_many_samples_stays_exact_and_defined() {
    // C(n, k) alone would be infinite in floating point. 1 right of n: k / n.
    let got = pass_at(100_000, 1, 50_000).unwrap();
    assert!((got - 0.5).abs() < 1e-9, "{got}");
    assert_eq!(pass_at(u32::MAX, 0, u32::MAX), Some(0.0));
    assert_eq!(pass_at(8, 8, 1), Some(1.0));
    assert!((pass_at(8, 2, 1).unwrap() - 0.25).abs() < 1e-15);
    for undefined in [(8, 2, 0), (8, 2, 9), (8, 9, 1), (0, 0, 1)] {
        assert_eq!(pass_at(undefined.0, undefined.1, undefined.2), None);
    }
}

/// Uniform in [0, 1).
fn uniform(generator: &mut Generator) -> f64 {
    (generator.bits() >> 11) as f64 / (1u64 << 53) as f64
}

#[test]
fn the_generator_is_splitmix64_and_its_draws_are_even() {
    // The first values for seed 0 of the reference implementation.
    let mut generator = Generator::new(0);
    assert_eq!([generator.bits(), generator.bits()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    let mut counts = [0; 6];
    (0..60_000).for_each(|_| counts[generator.below(6)] += 1);
    assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
}

#[test]
fn an_interval_holds_the_mean_and_repeats() {
    let values = [0.013, 0.97, 0.88, 0.121, 0.79, 0.53, 0.257, 0.31];
    let resampling = Resampling::default();
    let first = estimate(&values, &resampling).unwrap();
    assert_eq!(Some(first), estimate(&values, &resampling));
    assert!(0.0 <= first.low && first.low < first.mean && first.mean < first.high && first.high <= 1.0, "{first:?}");
    assert_ne!(Some(first), estimate(&values, &Resampling { seed: 1, ..resampling }));
    assert_eq!(estimate(&[], &resampling), None);
    assert_eq!(estimate(&[0.5; 3], &resampling), Some(Estimate { mean: 0.5, low: 0.5, high: 0.5 }));
    let narrow = estimate(&values, &Resampling { confidence: 0.5, ..resampling }).unwrap();
    assert!(first.low < narrow.low && narrow.high < first.high);
}

#[test]
fn an_interval_is_as_wide_as_theory_says() {
    // Mean of 400 coins: a standard error of 0.025, so 1.96 of them to either side.
    let values: Vec<f64> = (0..400).map(|index| f64::from(index % 2)).collect();
    let resampling = Resampling { resamples: 20_000, ..Resampling::default() };
    let Estimate { mean, low, high } = estimate(&values, &resampling).unwrap();
    assert_eq!(mean, 0.5);
    assert!((low - 0.451).abs() < 0.004 && (high - 0.549).abs() < 0.004, "{low} to {high}");
}

#[test]
fn intervals_cover_the_true_mean_as_often_as_they_claim() {
    let resampling = Resampling { resamples: 400, confidence: 0.9, ..Resampling::default() };
    let mut generator = Generator::new(3);
    let covers = |generator: &mut Generator| {
        // Skewed, with mean 1/3.
        let values: Vec<f64> = (0..60).map(|_| uniform(generator).powi(2)).collect();
        let Estimate { low, high, .. } = estimate(&values, &resampling).unwrap();
        (low..=high).contains(&(1.0 / 3.0))
    };
    let covered = (0..500).filter(|_| covers(&mut generator)).count();
    // 450 expected, with a standard deviation of 7.
    assert!((420..480).contains(&covered), "{covered} of 500");
}

#[test]
fn equal_arms_do_not_differ() {
    for count in [1, 5, 64, 65, 300] {
        let pairs: Vec<(f64, f64)> = (0..count).map(|index| (f64::from(index) / 7.0, f64::from(index) / 7.0)).collect();
        let Difference { difference, p } = compare(&pairs, &Resampling::default()).unwrap();
        assert_eq!((difference, p), (Estimate { mean: 0.0, low: 0.0, high: 0.0 }, 1.0));
    }
    assert_eq!(compare(&[], &Resampling::default()), None);
}

#[test]
fn the_test_agrees_with_all_sign_flips() {
    let differences = [0.5, -0.25, 0.75, 0.125, 0.5, -0.1, 0.3, 0.2, 0.0, 0.6];
    let sum: f64 = differences.iter().sum();
    let flips = 1u32 << differences.len();
    let extreme = |flip: &u32| {
        let signed = differences.iter().enumerate().map(|(index, d)| if flip >> index & 1 == 1 { -d } else { *d });
        signed.sum::<f64>().abs() >= sum - 1e-9
    };
    let exact = (0..flips).filter(extreme).count() as f64 / f64::from(flips);
    let pairs = differences.map(|difference| (1.0 + difference, 1.0));
    let resampling = Resampling { permutations: 100_000, ..Resampling::default() };
    let got = compare(&pairs, &resampling).unwrap();
    assert!((got.p - exact).abs() < 0.003, "{} is not {exact}", got.p);
    assert!((got.difference.mean - sum / 10.0).abs() < 1e-12);
    // The other way round everything but the sign is the same.
    let turned = compare(&pairs.map(|(first, second)| (second, first)), &resampling).unwrap();
    assert_eq!(turned.p, got.p);
    assert!((turned.difference.mean + got.difference.mean).abs() < 1e-12);
}

#[test]
fn a_clear_difference_has_the_smallest_p_there_is() {
    let pairs = [(1.0, 0.0); 40];
    let resampling = Resampling::default();
    assert_eq!(compare(&pairs, &resampling).unwrap().p, 1.0 / 10_001.0);
    // Three prompts prove nothing: 2 of 8 sign patterns are as extreme.
    let few = compare(&pairs[..3], &resampling).unwrap().p;
    assert!((few - 0.25).abs() < 0.02, "{few}");
}

#[test]
fn without_a_difference_p_is_even() {
    let resampling = Resampling { resamples: 1, permutations: 400, ..Resampling::default() };
    let mut generator = Generator::new(9);
    let small = |generator: &mut Generator| {
        let pairs: Vec<(f64, f64)> = (0..30).map(|_| (uniform(generator), uniform(generator))).collect();
        compare(&pairs, &resampling).unwrap().p <= 0.1
    };
    let count = (0..600).filter(|_| small(&mut generator)).count();
    // 60 expected, with a standard deviation of 7.
    assert!((32..90).contains(&count), "{count} of 600");
}

#[test]
fn holm_multiplies_by_the_tests_that_are_left() {
    let close = |got: &[f64], want: &[f64]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12);
    // Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 which may not be below the one before it.
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
    assert!(close(&adjusted, &[0.03, 0.06, 0.06, 0.02]), "{adjusted:?}");
    assert!(close(&holm(&[0.4, 0.9]), &[0.8, 0.9]) && close(&holm(&[0.7, 0.8]), &[1.0, 1.0]));
    assert_eq!(holm(&[]), Vec::<f64>::new());
}

#[test]
fn a_ratio_of_means_resamples_both_together() {
    let resampling = Resampling::default();
    // The first is half of the second for every prompt: whatever is drawn, the ratio is the same.
    let pairs: Vec<(f64, f64)> = (1..40).map(|x| (f64::from(x), 2.0 * f64::from(x))).collect();
    let half = ratio(&pairs, &resampling).unwrap();
    assert!((half.mean - 0.5).abs() < 1e-12 && (half.low - 0.5).abs() < 1e-12 && (half.high - 0.5).abs() < 1e-12);
    let noisy: Vec<(f64, f64)> = (0..40).map(|x| (f64::from(x % 2), 1.0 + f64::from(x % 3))).collect();
    let noisy = ratio(&noisy, &resampling).unwrap();
    assert!(noisy.low < noisy.mean && noisy.mean < noisy.high, "{noisy:?}");
    // Nothing to divide by: the second is 1 as often as -1.
    let around_zero: Vec<(f64, f64)> = (0..40).map(|x| (1.0, if x % 2 == 0 { 1.0 } else { -1.0 })).collect();
    assert_eq!((ratio(&around_zero, &resampling), ratio(&[], &resampling)), (None, None));
}
