//! One copy in memory of the tensors that are bitwise equal in two models: the second model takes the first one's.
use std::{
    cell::RefCell,
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
};

use candle_core::{CpuStorage, DType, Device, DeviceLocation, Result, Shape, Storage, Tensor};
use candle_nn::{var_builder::SimpleBackend, Init};
use mistralrs_quant::{ShardedSafeTensors, ShardedVarBuilder};

use super::names::renamed;

thread_local! {
    static FILLING: RefCell<Option<Arc<WeightPool>>> = const { RefCell::new(None) };
}
static POOLS: RwLock<Vec<Weak<WeightPool>>> = RwLock::new(Vec::new());

/// Tensors of one model, by name, for another model that is loaded later.
pub struct WeightPool {
    keeps: Box<dyn Fn(&str) -> bool + Send + Sync>,
    serves: Box<dyn Fn(&[PathBuf]) -> bool + Send + Sync>,
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    tensors: HashMap<(String, DType, DeviceLocation), Entry>,
    /// Bytes of all tensors that the first model has loaded.
    loaded: usize,
}

struct Entry {
    tensor: Tensor,
    /// Whether the second model has taken it.
    taken: bool,
}

impl WeightPool {
    /// Makes a pool that keeps the tensors whose names satisfy `keeps`, and offers them while it lives to every load of weight files
    /// that satisfy `serves`. Leave out tensors that a model converts after loading: the pool would hold copies that no model uses.
    pub fn open(
        keeps: impl Fn(&str) -> bool + Send + Sync + 'static,
        serves: impl Fn(&[PathBuf]) -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        let pool = Self { keeps: Box::new(keeps), serves: Box::new(serves), content: Mutex::default() };
        let pool = Arc::new(pool);
        let mut pools = POOLS.write().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(&pool));
        pool
    }

    /// Runs `load`, and fills the pool from the model that it loads on this thread.
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

    /// Drops the tensors that the second model did not take. Call it when that model is loaded.
    pub fn settle(&self) {
        self.content().tensors.retain(|_, entry| entry.taken);
    }

    /// Bytes of the tensors that both models share, and of all tensors that the first model has loaded.
    pub fn shared_bytes(&self) -> (usize, usize) {
        let content = self.content();
        let taken = content.tensors.values().filter(|entry| entry.taken);
        (taken.map(|entry| bytes(&entry.tensor)).sum(), content.loaded)
    }

    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, name: &str, tensor: &Tensor) {
        let mut content = self.content();
        let key = (name.to_string(), tensor.dtype(), tensor.device().location());
        content.loaded += bytes(tensor);
        if (self.keeps)(name) {
            content.tensors.insert(key, Entry { tensor: tensor.clone(), taken: false });
        }
    }

    /// The pool's tensor of this name if it equals `own`, otherwise `own`.
    fn equal_or(&self, name: &str, own: Tensor) -> Tensor {
        let key = (name.to_string(), own.dtype(), own.device().location());
        // The lock is not held while tensors are compared: layers load in parallel.
        let Some(pooled) = self.content().tensors.get(&key).map(|entry| entry.tensor.clone()) else { return own };
        if !same_bits(&pooled, &own).unwrap_or(false) {
            return own;
        }
        if let Some(entry) = self.content().tensors.get_mut(&key) {
            entry.taken = true;
        }
        pooled
    }
}

fn bytes(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

/// Whether a computation on one device handle can use tensors of the other. CUDA handles of one device share a stream; others do not.
fn same_device(a: &Device, b: &Device) -> bool {
    a.same_device(b) || (a.is_cuda() && a.location() == b.location())
}

/// Compares bits, since `==` takes 0 for -0.
fn same_bits(a: &Tensor, b: &Tensor) -> Result<bool> {
    if a.shape() != b.shape() || a.dtype() != b.dtype() || !same_device(a.device(), b.device()) {
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
        // Models convert tensors of other types after loading.
        _ => false,
    })
}

/// Loads a model's own tensors, and fills the pool with them or replaces them by the pool's.
struct PooledBackend {
    own: ShardedVarBuilder,
    pool: Arc<WeightPool>,
    fills: bool,
}

impl PooledBackend {
    fn resolve(&self, name: &str, own: Tensor) -> Tensor {
        if self.fills {
            self.pool.put(name, &own);
            return own;
        }
        self.pool.equal_or(name, own)
    }
}

impl SimpleBackend for PooledBackend {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let own = self.own.clone().set_device(device.clone());
        Ok(self.resolve(name, own.get_with_hints_dtype(shape, name, Default::default(), dtype)?))
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let own = self.own.clone().set_device(device.clone());
        Ok(self.resolve(name, own.get_unchecked_dtype(name, dtype)?))
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.own.contains_tensor(name)
    }
}

/// Wraps the weights of these files if their names differ from those that the model asks for, and if this thread fills a pool or a pool
/// serves them.
pub(crate) fn pooled(own: ShardedVarBuilder, files: &[PathBuf]) -> ShardedVarBuilder {
    let own = renamed(own, files);
    let filling = FILLING.with_borrow(Clone::clone);
    let fills = filling.is_some();
    let serving = || {
        let pools = POOLS.read().unwrap_or_else(PoisonError::into_inner);
        pools.iter().filter_map(Weak::upgrade).find(|pool| (pool.serves)(files))
    };
    let Some(pool) = filling.or_else(serving) else { return own };
    let (dtype, device) = (own.dtype(), own.device().clone());
    ShardedSafeTensors::wrap(Box::new(PooledBackend { own, pool, fills }), dtype, device)
}
