//! Tensors that two models hold once where they are equal to the bit: what one has loaded the other takes in place of its own.
use std::{
    cell::RefCell,
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
};

use candle_core::{CpuStorage, DType, Device, DeviceLocation, Result, Shape, Storage, Tensor};
use candle_nn::{var_builder::SimpleBackend, Init};
use mistralrs_quant::{ShardedSafeTensors, ShardedVarBuilder};

thread_local! {
    static FILLING: RefCell<Option<Arc<WeightPool>>> = const { RefCell::new(None) };
}
static POOLS: RwLock<Vec<Weak<WeightPool>>> = RwLock::new(Vec::new());

/// The tensors of one model, by name, for another that is loaded later.
pub struct WeightPool {
    keeps: Box<dyn Fn(&str) -> bool + Send + Sync>,
    serves: Box<dyn Fn(&[PathBuf]) -> bool + Send + Sync>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    tensors: HashMap<(String, DType, DeviceLocation), Kept>,
    loaded: usize,
}

struct Kept {
    tensor: Tensor,
    taken: bool,
}

impl WeightPool {
    /// Keeps the tensors whose names `keeps` says, and offers them to whichever thread loads the weight files that `serves` says,
    /// as long as the pool lives. It holds what it keeps: leave out what a model does not keep as it was loaded.
    pub fn open(
        keeps: impl Fn(&str) -> bool + Send + Sync + 'static,
        serves: impl Fn(&[PathBuf]) -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        let pool = Self { keeps: Box::new(keeps), serves: Box::new(serves), held: Mutex::default() };
        let pool = Arc::new(pool);
        let mut pools = POOLS.write().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(&pool));
        pool
    }

    /// Runs `load`, in which the model that this thread loads fills the pool.
    pub fn fill<T>(self: &Arc<Self>, load: impl FnOnce() -> T) -> T {
        struct Clear;
        impl Drop for Clear {
            fn drop(&mut self) {
                FILLING.set(None);
            }
        }
        FILLING.set(Some(self.clone()));
        let _clear = Clear;
        load()
    }

    /// Lets go of what the other model, which is loaded now, did not take.
    pub fn settle(&self) {
        self.held().tensors.retain(|_, kept| kept.taken);
    }

    /// Bytes of the tensors that both models hold, and of all that the first has loaded.
    pub fn shared_bytes(&self) -> (usize, usize) {
        let held = self.held();
        let taken = held.tensors.values().filter(|kept| kept.taken);
        (taken.map(|kept| bytes(&kept.tensor)).sum(), held.loaded)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, name: &str, tensor: &Tensor) {
        let mut held = self.held();
        let key = (name.to_string(), tensor.dtype(), tensor.device().location());
        held.loaded += bytes(tensor);
        if (self.keeps)(name) {
            held.tensors.insert(key, Kept { tensor: tensor.clone(), taken: false });
        }
    }

    fn equal(&self, name: &str, own: Tensor) -> Tensor {
        let key = (name.to_string(), own.dtype(), own.device().location());
        // Comparing takes a while, and layers are loaded in parallel.
        let Some(kept) = self.held().tensors.get(&key).map(|kept| kept.tensor.clone()) else { return own };
        if !same_bits(&kept, &own).unwrap_or(false) {
            return own;
        }
        if let Some(kept) = self.held().tensors.get_mut(&key) {
            kept.taken = true;
        }
        kept
    }
}

fn bytes(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

/// Whether what computes on one may take tensors of the other. All handles of a CUDA device share a stream; those of others do not.
fn within_reach(a: &Device, b: &Device) -> bool {
    a.same_device(b) || (a.is_cuda() && a.location() == b.location())
}

/// Not `eq`, for which 0 is -0.
fn same_bits(a: &Tensor, b: &Tensor) -> Result<bool> {
    if a.shape() != b.shape() || a.dtype() != b.dtype() || !within_reach(a.device(), b.device()) {
        return Ok(false);
    }
    let (a, b) = (a.to_device(&Device::Cpu)?.contiguous()?, b.to_device(&Device::Cpu)?.contiguous()?);
    let ((a, a_layout), (b, b_layout)) = (a.storage_and_layout(), b.storage_and_layout());
    let (Some(at), Some(bt)) = (a_layout.contiguous_offsets(), b_layout.contiguous_offsets()) else { return Ok(false) };
    fn equal<T, B: PartialEq>(a: &[T], b: &[T], bits: impl Fn(&T) -> B) -> bool {
        a.iter().zip(b).all(|(a, b)| bits(a) == bits(b))
    }
    Ok(match (&*a, &*b) {
        (Storage::Cpu(CpuStorage::F32(a)), Storage::Cpu(CpuStorage::F32(b))) => {
            equal(&a[at.0..at.1], &b[bt.0..bt.1], |x| x.to_bits())
        }
        (Storage::Cpu(CpuStorage::BF16(a)), Storage::Cpu(CpuStorage::BF16(b))) => {
            equal(&a[at.0..at.1], &b[bt.0..bt.1], |x| x.to_bits())
        }
        (Storage::Cpu(CpuStorage::F16(a)), Storage::Cpu(CpuStorage::F16(b))) => {
            equal(&a[at.0..at.1], &b[bt.0..bt.1], |x| x.to_bits())
        }
        // No model keeps other types as they are in its file.
        _ => false,
    })
}

struct Pooled {
    own: ShardedVarBuilder,
    pool: Arc<WeightPool>,
    fills: bool,
}

impl Pooled {
    fn one(&self, name: &str, own: Tensor) -> Tensor {
        if self.fills {
            self.pool.put(name, &own);
            return own;
        }
        self.pool.equal(name, own)
    }
}

impl SimpleBackend for Pooled {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let own = self.own.clone().set_device(device.clone());
        Ok(self.one(name, own.get_with_hints_dtype(shape, name, Default::default(), dtype)?))
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let own = self.own.clone().set_device(device.clone());
        Ok(self.one(name, own.get_unchecked_dtype(name, dtype)?))
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.own.contains_tensor(name)
    }
}

/// The weights of these files, shared if a pool is being filled or serves them.
pub(crate) fn pooled(own: ShardedVarBuilder, files: &[PathBuf]) -> ShardedVarBuilder {
    let filling = FILLING.with_borrow(Clone::clone);
    let fills = filling.is_some();
    let serving = || {
        let pools = POOLS.read().unwrap_or_else(PoisonError::into_inner);
        pools.iter().filter_map(Weak::upgrade).find(|pool| (pool.serves)(files))
    };
    let Some(pool) = filling.or_else(serving) else { return own };
    let (dtype, device) = (own.dtype(), own.device().clone());
    ShardedSafeTensors::wrap(Box::new(Pooled { own, pool, fills }), dtype, device)
}
