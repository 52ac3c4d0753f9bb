//! Random weights, the same at every run.
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};

/// Writes tensors of these shapes. The RLVR model's are the base's, `moved` a little outside the encoder.
pub(super) fn write(path: &Path, shapes: &BTreeMap<String, Vec<usize>>, encoder: &[String], moved: bool) {
    let tensors: HashMap<String, Tensor> = shapes
        .iter()
        .map(|(name, shape)| {
            let moved = moved && !encoder.iter().any(|prefix| name.starts_with(prefix.as_str()));
            (name.clone(), tensor(name, shape, moved))
        })
        .collect();
    candle_core::safetensors::save(&tensors, path).expect("a writable folder");
}

fn tensor(name: &str, shape: &[usize], moved: bool) -> Tensor {
    let count: usize = shape.iter().product();
    let one_dimensional = shape.len() == 1;
    let scale = match () {
        () if one_dimensional && name.ends_with("weight") => 0.1,
        () if one_dimensional => 0.05,
        () => 1.0 / (shape[1..].iter().product::<usize>() as f32).sqrt(),
    };
    // The weight of a norm; where a family adds one to it, this is as good.
    let centre = if one_dimensional && name.ends_with("weight") { 1.0 } else { 0.0 };
    let (mut noise, mut step) = (Noise::new(name, 0), Noise::new(name, 1));
    let values: Vec<f32> = (0..count)
        .map(|_| {
            let value = centre + scale * noise.draw();
            if moved { value + 0.3 * scale * step.draw() } else { value }
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("as many values as the shape says")
}

/// Uniform numbers of variance one (splitmix64; Steele, Lea and Flood 2014).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(name: &str, stream: u64) -> Self {
        // FNV-1a of the name.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(hash ^ (stream << 32))
    }

    pub(crate) fn draw(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32;
        (unit * 2.0 - 1.0) * 3f32.sqrt()
    }
}
