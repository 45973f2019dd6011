// The ExecuTorch runtime for Python. What may be said in Python is said there: program.py checks the arguments, and
// only what could bring the process down is checked again here.

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <executorch/devtools/etdump/etdump_flatcc.h>
#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/extension/threadpool/threadpool_guard.h>
#include <executorch/runtime/executor/memory_manager.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>
#include <executorch/runtime/platform/platform.h>
#include <executorch/runtime/platform/runtime.h>

// libexecutorch_threadpool exports this class, but its header is not shipped. CMakeLists.txt pins the version.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(uint32_t threads);
};
ThreadPool* get_threadpool();
} // namespace executorch::extension::threadpool

namespace {

namespace nb = nanobind;
namespace et = executorch::runtime;
namespace pool = executorch::extension::threadpool;
using executorch::aten::ScalarType;

// A message is one line of ASCII, whatever a broken file made ExecuTorch quote.
struct ExecuTorchError : std::runtime_error {
  explicit ExecuTorchError(std::string message) : std::runtime_error(plain(std::move(message))) {}

  static std::string plain(std::string message) {
    for (char& c : message) {
      if (c < ' ' || c > '~') c = '?';
    }
    return message;
  }
};

// ---- What ExecuTorch logs -----------------------------------------------------------------------------------------

// ExecuTorch returns an error code and logs the reason. A Complaints collects the reasons that its thread hears.
class Complaints {
 public:
  Complaints() : outer_(current) { current = this; }
  ~Complaints() { current = outer_; }
  Complaints(const Complaints&) = delete;

  ExecuTorchError error(const std::string& what, et::Error code, const char* advice = "") const {
    const char* name = et::to_string(code);
    const char* colons = std::strstr(name, "::");
    return ExecuTorchError(what + ": " + (colons ? colons + 2 : name) + (heard_.empty() ? "" : " (" + heard_ + ")") +
                           advice);
  }

  static void emit(et_timestamp_t, et_pal_log_level_t level, const char* file, const char*, size_t line,
                   const char* message, size_t length) {
    if (to_stderr) {
      std::fprintf(stderr, "%c executorch:%s:%zu] %.*s\n", static_cast<char>(level), file, line,
                   static_cast<int>(length), message);
    }
    if (current && (level == kError || level == kFatal)) {
      current->hear(std::string(message, length));
    }
  }

  static std::atomic<bool> to_stderr;

 private:
  void hear(const std::string& message) {
    if (message.compare(0, 4, "arg ") == 0) return; // the types of a failed kernel's arguments, a line each
    constexpr size_t kLongest = 400; // the first reasons explain, what follows is their echo
    if (heard_.size() < kLongest) heard_ += (heard_.empty() ? "" : "; ") + message.substr(0, kLongest);
  }

  static thread_local Complaints* current;
  Complaints* outer_;
  std::string heard_;
};

std::atomic<bool> Complaints::to_stderr{false};
thread_local Complaints* Complaints::current = nullptr;

// A failed ET_CHECK aborts the process. Its frames unwind, so it can be an exception, and the program is then unusable.
struct Aborted {};
void abort_by_exception() { throw Aborted{}; }

// ---- Threads ------------------------------------------------------------------------------------------------------

// ExecuTorch has one thread pool a process, and a delegate keeps a pointer to it from load on. So the pool changes its
// size only while no loaded program uses it, and a program for one thread never sees it.
class Threads {
 public:
  explicit Threads(int wanted) {
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) == 0 && wanted > CPU_COUNT(&mine)) wanted = CPU_COUNT(&mine);
    if (wanted == 1) return;
    std::lock_guard<std::mutex> lock(mutex);
    pool::ThreadPool* shared = pool::get_threadpool();
    if (!shared) throw ExecuTorchError("ExecuTorch has no thread pool here; load the program with threads=1");
    size_t size = shared->get_thread_count();
    if (users == 0 && size != static_cast<size_t>(wanted)) {
      if (!shared->_unsafe_reset_threadpool(wanted)) {
        throw ExecuTorchError("cannot make a thread pool of " + std::to_string(wanted) +
                              "; load the program with fewer threads");
      }
      size = shared->get_thread_count();
    }
    if (size > static_cast<size_t>(wanted)) {
      throw ExecuTorchError("the process has one thread pool, and a loaded program uses it with " +
                            std::to_string(size) + " threads, more than the " + std::to_string(wanted) +
                            " wanted; close that program first, or load this one with threads=1 or threads=" +
                            std::to_string(size));
    }
    count_ = static_cast<int>(size);
    if (count_ > 1) users += 1;
  }
  ~Threads() {
    if (count_ == 1) return;
    std::lock_guard<std::mutex> lock(mutex);
    users -= 1;
  }
  Threads(const Threads&) = delete;

  int count() const { return count_; }

  // Must live while the program loads or runs.
  std::optional<pool::NoThreadPoolGuard> guard() const {
    std::optional<pool::NoThreadPoolGuard> none;
    if (count_ == 1) none.emplace();
    return none;
  }

 private:
  static std::mutex mutex;
  static int users;
  int count_ = 1;
};

std::mutex Threads::mutex;
int Threads::users = 0;

// ---- The file -----------------------------------------------------------------------------------------------------

// Hands out pieces of a region of a file, and closes it in the end. Mapped pieces go back to the system one by one, as
// soon as a delegate has packed its weights.
class Region final : public et::DataLoader {
 public:
  Region(int fd, size_t offset, size_t size, bool map)
      : fd_(fd), offset_(offset), size_(size), map_(map), at_load_(state()) {}
  ~Region() override { close(fd_); }
  Region(const Region&) = delete;

  et::Result<et::FreeableBuffer> load(size_t offset, size_t size, const SegmentInfo&) const override {
    ET_CHECK_OK_OR_RETURN_ERROR(within(offset, size));
    if (size == 0) return et::FreeableBuffer(nullptr, 0, nullptr);
    return map_ ? mapped(offset_ + offset, size) : read(offset_ + offset, size);
  }

  et::Error load_into(size_t offset, size_t size, const SegmentInfo&, void* buffer) const override {
    ET_CHECK_OK_OR_RETURN_ERROR(within(offset, size));
    return read_into(offset_ + offset, size, buffer);
  }

  et::Result<size_t> size() const override { return size_; }

  // Reading a mapped page that a file no longer has kills the process, so ask before each run.
  bool changed() const { return map_ && state() != at_load_; }

 private:
  struct State {
    off_t size = 0;
    timespec changed{};

    bool operator!=(const State& other) const {
      return size != other.size || changed.tv_sec != other.changed.tv_sec || changed.tv_nsec != other.changed.tv_nsec;
    }
  };

  State state() const {
    struct stat now{};
    syscall(SYS_fstat, fd_, &now); // the function fstat would ask for glibc 2.33
    return {now.st_size, now.st_mtim};
  }

  et::Error within(size_t offset, size_t size) const {
    ET_CHECK_OR_RETURN_ERROR(
        offset <= size_ && size <= size_ - offset, InvalidProgram,
        "the program ends at byte %zu, but a part of it should lie at %zu to %zu", size_, offset, offset + size);
    return et::Error::Ok;
  }

  et::Result<et::FreeableBuffer> mapped(size_t from, size_t size) const {
    const size_t slack = from % static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* start = mmap(nullptr, size + slack, PROT_READ, MAP_PRIVATE, fd_, static_cast<off_t>(from - slack));
    ET_CHECK_OR_RETURN_ERROR(start != MAP_FAILED, AccessFailed, "cannot map %zu bytes: %s", size, std::strerror(errno));
    const auto unmap = [](void* slack, void* data, size_t size) {
      const size_t before = reinterpret_cast<size_t>(slack);
      munmap(static_cast<char*>(data) - before, size + before);
    };
    return et::FreeableBuffer(static_cast<char*>(start) + slack, size, unmap, reinterpret_cast<void*>(slack));
  }

  et::Result<et::FreeableBuffer> read(size_t from, size_t size) const {
    void* data = nullptr;
    constexpr size_t kAlignment = 4096; // what a mapping gives
    ET_CHECK_OR_RETURN_ERROR(
        posix_memalign(&data, kAlignment, size) == 0, MemoryAllocationFailed, "no memory for %zu bytes", size);
    const et::Error error = read_into(from, size, data);
    if (error != et::Error::Ok) {
      std::free(data);
      return error;
    }
    return et::FreeableBuffer(data, size, [](void*, void* data, size_t) { std::free(data); });
  }

  et::Error read_into(size_t from, size_t size, void* data) const {
    for (size_t done = 0; done < size;) {
      const ssize_t got = pread(fd_, static_cast<char*>(data) + done, size - done, static_cast<off_t>(from + done));
      if (got < 0 && errno == EINTR) continue;
      ET_CHECK_OR_RETURN_ERROR(
          got > 0, AccessFailed, "cannot read the file: %s", got < 0 ? std::strerror(errno) : "it ended early");
      done += static_cast<size_t>(got);
    }
    return et::Error::Ok;
  }

  const int fd_;
  const size_t offset_, size_;
  const bool map_;
  const State at_load_;
};

// ---- Tensors ------------------------------------------------------------------------------------------------------

const char* numpy_name(ScalarType type) {
  switch (type) {
    case ScalarType::Byte: return "uint8";
    case ScalarType::Char: return "int8";
    case ScalarType::Short: return "int16";
    case ScalarType::Int: return "int32";
    case ScalarType::Long: return "int64";
    case ScalarType::Half: return "float16";
    case ScalarType::Float: return "float32";
    case ScalarType::Double: return "float64";
    case ScalarType::Bool: return "bool";
    case ScalarType::UInt16: return "uint16";
    case ScalarType::UInt32: return "uint32";
    case ScalarType::UInt64: return "uint64";
    default: return nullptr;
  }
}

// An input or an output as the program declares it. A number is an array without dimensions to numpy.
struct Spec {
  et::Tag tag;
  ScalarType type;
  std::vector<int32_t> shape; // upper bounds where dynamic
  bool dynamic;

  nb::tuple to_python() const {
    return nb::make_tuple(numpy_name(type), shape_of(shape.data(), shape.size()), dynamic);
  }

  static nb::tuple shape_of(const int32_t* sizes, size_t rank) {
    nb::list shape;
    for (size_t i = 0; i < rank; ++i) shape.append(sizes[i]);
    return nb::tuple(shape);
  }
};

// A numpy array's memory, for as long as this lives.
class Memory {
 public:
  Memory(nb::handle array, int flags) {
    if (PyObject_GetBuffer(array.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  ~Memory() { PyBuffer_Release(&view_); } // with the GIL held
  Memory(const Memory&) = delete;
  const Py_buffer* operator->() const { return &view_; }

 private:
  Py_buffer view_{};
};

// An array as ExecuTorch takes it.
class Input {
 public:
  et::EValue value(const Spec& spec, const Memory& memory) {
    if (static_cast<size_t>(memory->itemsize) != et::elementSize(spec.type) ||
        static_cast<size_t>(memory->ndim) != spec.shape.size()) {
      throw ExecuTorchError("a wrong type of input");
    }
    if (spec.tag == et::Tag::Int) return et::EValue(*static_cast<const int64_t*>(memory->buf));
    if (spec.tag == et::Tag::Double) return et::EValue(*static_cast<const double*>(memory->buf));
    if (spec.tag == et::Tag::Bool) return et::EValue(*static_cast<const bool*>(memory->buf));
    strides_.resize(memory->ndim);
    int32_t stride = 1;
    for (int d = memory->ndim - 1; d >= 0; --d) {
      strides_[d] = stride;
      stride *= static_cast<int32_t>(memory->shape[d]);
    }
    for (int d = 0; d < memory->ndim; ++d) {
      sizes_.push_back(static_cast<int32_t>(memory->shape[d]));
      order_.push_back(static_cast<uint8_t>(d));
    }
    tensor_.emplace(spec.type, memory->ndim, sizes_.data(), memory->buf, order_.data(), strides_.data());
    return et::EValue(executorch::aten::Tensor(&*tensor_));
  }

 private:
  std::vector<int32_t> sizes_, strides_;
  std::vector<uint8_t> order_;
  std::optional<executorch::aten::TensorImpl> tensor_;
};

// ---- One method ---------------------------------------------------------------------------------------------------

// What a loaded method lives on, in the order in which it must not be destroyed.
class Function {
 public:
  Function(const et::Program& program, const char* name, et::EventTracer* tracer) : name(name) {
    Complaints complaints;
    const std::string what = "cannot load the method '" + this->name + "'";
    et::Result<et::MethodMeta> meta = program.method_meta(name);
    if (!meta.ok()) throw complaints.error(what, meta.error());
    for (size_t i = 0; i < meta->num_memory_planned_buffers(); ++i) {
      const et::Result<int64_t> size = meta->memory_planned_buffer_size(i);
      if (!size.ok() || *size < 0) throw complaints.error(what, size.ok() ? et::Error::InvalidProgram : size.error());
      spans_.emplace_back(allocate(static_cast<size_t>(*size)), static_cast<size_t>(*size));
    }
    planned_.emplace(et::Span<et::Span<uint8_t>>(spans_.data(), spans_.size()));
    manager_.emplace(&lasting_, &*planned_, &temporary_);
    et::Result<et::Method> method = program.load_method(name, &*manager_, tracer);
    if (!method.ok()) throw complaints.error(what, method.error());
    method_.emplace(std::move(*method));
    describe(*meta);
  }
  Function(const Function&) = delete;

  // Without the GIL.
  void run(std::vector<et::EValue>& inputs) {
    Complaints complaints;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const et::Error error = method_->set_input(inputs[i], i);
      if (error != et::Error::Ok) throw complaints.error("input " + std::to_string(i) + " is refused", error);
    }
    const et::Error error = method_->execute();
    if (error != et::Error::Ok) throw complaints.error("the method '" + name + "' failed", error);
  }

  // Copies; with the GIL.
  nb::list answer() const {
    nb::list arrays;
    nb::object empty = nb::module_::import_("numpy").attr("empty");
    for (size_t i = 0; i < outputs.size(); ++i) {
      const et::EValue& value = method_->get_output(i);
      const void* data = &value.payload.copyable_union;
      const int32_t* sizes = nullptr;
      size_t rank = 0, bytes = et::elementSize(outputs[i].type);
      if (value.isTensor()) {
        const executorch::aten::Tensor& tensor = value.toTensor();
        data = tensor.const_data_ptr();
        sizes = tensor.sizes().data();
        rank = tensor.sizes().size();
        bytes = tensor.nbytes();
      }
      nb::object array = empty(Spec::shape_of(sizes, rank), numpy_name(outputs[i].type));
      Memory memory(array, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS);
      if (value.tag != outputs[i].tag || static_cast<size_t>(memory->len) != bytes || (bytes && !data)) {
        throw ExecuTorchError("output " + std::to_string(i) + " of the method '" + name + "' is not as declared");
      }
      if (bytes) std::memcpy(memory->buf, data, bytes);
      arrays.append(array);
    }
    return arrays;
  }

  const std::string name;
  std::vector<Spec> inputs, outputs;

 private:
  void describe(const et::MethodMeta& meta) {
    for (size_t i = 0; i < meta.num_inputs(); ++i) {
      // Only the loaded value tells whether its shape may change, and only this deprecated way leads to it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
      const et::EValue& value = method_->get_input(i);
#pragma GCC diagnostic pop
      inputs.push_back(spec("input", i, value, meta.input_tensor_meta(i)));
    }
    for (size_t i = 0; i < meta.num_outputs(); ++i) {
      const et::Result<et::TensorInfo> info = meta.output_tensor_meta(i);
      outputs.push_back(spec("output", i, method_->get_output(i), info));
      if (info.ok() && !info->is_memory_planned()) provide(i, info->nbytes());
    }
  }

  // An exporter may leave the memory of outputs to the caller.
  void provide(size_t index, size_t size) {
    uint8_t* memory = allocate(size);
    (void)method_->set_output_data_ptr(memory, size, index); // refused by a constant, which has its own
  }

  // calloc, because the system hands out the pages of a large one only when they are touched
  uint8_t* allocate(size_t size) {
    buffers_.emplace_back(static_cast<uint8_t*>(std::calloc(1, size ? size : 1)));
    if (!buffers_.back()) {
      throw ExecuTorchError("the method '" + name + "' wants " + std::to_string(size) + " bytes of memory, too many");
    }
    return buffers_.back().get();
  }

  Spec spec(const char* kind, size_t index, const et::EValue& value, const et::Result<et::TensorInfo>& info) const {
    const std::string what = std::string(kind) + " " + std::to_string(index) + " of the method '" + name + "' ";
    if (value.isInt()) return {value.tag, ScalarType::Long, {}, false};
    if (value.isDouble()) return {value.tag, ScalarType::Double, {}, false};
    if (value.isBool()) return {value.tag, ScalarType::Bool, {}, false};
    if (!value.isTensor() || !info.ok()) throw ExecuTorchError(what + "is neither a tensor nor a number");
    if (!numpy_name(info->scalar_type())) throw ExecuTorchError(what + "has a type that numpy does not know");
    const et::Span<const uint8_t> order = info->dim_order();
    for (size_t i = 0; i < order.size(); ++i) {
      if (order[i] != i) {
        throw ExecuTorchError(what + "is not laid out row by row; export it with the default dim order");
      }
    }
    const auto dynamism = value.toTensor().unsafeGetTensorImpl()->shape_dynamism();
    return {value.tag, info->scalar_type(), std::vector<int32_t>(info->sizes().begin(), info->sizes().end()),
            dynamism != et::TensorShapeDynamism::STATIC};
  }

  struct Free {
    void operator()(uint8_t* data) const { std::free(data); }
  };
  std::vector<std::unique_ptr<uint8_t, Free>> buffers_;
  std::vector<et::Span<uint8_t>> spans_;
  std::optional<et::HierarchicalAllocator> planned_;
  executorch::extension::MallocMemoryAllocator lasting_, temporary_;
  std::optional<et::MemoryManager> manager_;
  std::optional<et::Method> method_;
};

// ---- Python's lock ------------------------------------------------------------------------------------------------

// A program's turn to be used, without the GIL. Python may end under a daemon thread's turn. A thread that asks for the GIL
// after that is unwound by pthread_exit, and the first noexcept frame aborts the process: so it stops here for good instead.
// And Python's end waits for the turns that are under way, because ExecuTorch's globals are destroyed next.
class Turn {
 public:
  explicit Turn(std::mutex& mutex)
      : python_(PyEval_SaveThread()), lock_(mutex) { // in this order: who waits for the lock must not hold the GIL
    ++under_way;
    if (ended) {
      --under_way;
      stop();
    }
  }
  ~Turn() {
    if (python_) take_gil();
  }
  Turn(const Turn&) = delete;

  void take_gil() {
    --under_way;
    try {
      PyEval_RestoreThread(std::exchange(python_, nullptr));
    } catch (...) {
      stop();
    }
  }

  static void watch() {
    pthread_atfork(nullptr, nullptr, [] { under_way = 0; }); // the threads of the others stay in the parent
    Py_AtExit([] {
      ended = true;
      while (under_way > 0) usleep(1000);
    });
  }

 private:
  [[noreturn]] void stop() {
    lock_.unlock();
    for (;;) pause();
  }

  static inline std::atomic<int> under_way{0};
  static inline std::atomic<bool> ended{false};
  PyThreadState* python_;
  std::unique_lock<std::mutex> lock_;
};

// ---- One program --------------------------------------------------------------------------------------------------

class Program {
 public:
  // Takes the file descriptor over, whatever happens.
  Program(int fd, size_t offset, size_t size, int threads, bool map, bool trace) {
    auto region = std::make_unique<Region>(fd, offset, size, map);
    const Turn turn(mutex_);
    auto loaded = std::make_unique<Loaded>(threads);
    threads_ = loaded->threads.count();
    loaded->region = std::move(region);
    if (trace) loaded->tracer = std::make_unique<executorch::etdump::ETDumpGen>();
    Complaints complaints;
    const auto guard = loaded->threads.guard();
    try {
      constexpr auto kEverything = et::Program::Verification::InternalConsistency;
      et::Result<et::Program> program = et::Program::load(loaded->region.get(), kEverything);
      if (!program.ok()) {
        throw complaints.error("no program that ExecuTorch " EXECUTORCH_VERSION " can load", program.error());
      }
      loaded->program.emplace(std::move(*program));
      for (size_t i = 0; i < loaded->program->num_methods(); ++i) {
        const et::Result<const char*> name = loaded->program->get_method_name(i);
        if (!name.ok()) throw complaints.error("no name for method " + std::to_string(i), name.error());
        loaded->functions.push_back(std::make_unique<Function>(*loaded->program, *name, loaded->tracer.get()));
      }
    } catch (const Aborted&) {
      throw complaints.error("ExecuTorch gave up on the program", et::Error::InvalidProgram);
    }
    loaded_ = std::move(loaded);
  }

  nb::list run(const std::string& method, nb::list arrays) {
    std::vector<std::unique_ptr<Memory>> memories;
    for (nb::handle array : arrays) memories.push_back(std::make_unique<Memory>(array, PyBUF_C_CONTIGUOUS));
    Turn turn(mutex_);
    Loaded& loaded = usable();
    Function& function = loaded.function(method);
    execute(loaded, function, memories);
    turn.take_gil();
    return function.answer();
  }

  nb::bytes etdump() {
    executorch::etdump::ETDumpResult dump{};
    {
      const Turn turn(mutex_);
      Loaded& loaded = usable();
      if (!loaded.tracer) throw ExecuTorchError("the program was loaded without trace=True");
      dump = loaded.tracer->get_etdump_data();
      loaded.reset_trace();
    }
    nb::bytes bytes(static_cast<const char*>(dump.buf), dump.buf ? dump.size : 0);
    std::free(dump.buf);
    return bytes;
  }

  nb::list methods() {
    nb::list all;
    for (const auto& function : usable().functions) {
      nb::list inputs, outputs;
      for (const Spec& spec : function->inputs) inputs.append(spec.to_python());
      for (const Spec& spec : function->outputs) outputs.append(spec.to_python());
      const std::string& name = function->name; // in a broken file, bytes that are no text
      const auto length = static_cast<Py_ssize_t>(name.size());
      all.append(nb::make_tuple(
          nb::steal(PyUnicode_DecodeUTF8(name.data(), length, "backslashreplace")), inputs, outputs));
    }
    return all;
  }

  // Waits for a run that is under way.
  void close() {
    const Turn turn(mutex_);
    loaded_.reset();
  }

  int threads() const { return threads_; }

 private:
  // In the order in which nothing may be destroyed: a method before its program, that before its file.
  struct Loaded {
    explicit Loaded(int threads) : threads(threads) {}

    Function& function(const std::string& name) {
      for (const auto& function : functions) {
        if (function->name == name) return *function;
      }
      throw ExecuTorchError("no method '" + name + "'");
    }

    void reset_trace() {
      tracer->reset();
      traced = 0;
    }

    Threads threads;
    std::unique_ptr<Region> region;
    std::unique_ptr<executorch::etdump::ETDumpGen> tracer;
    std::optional<et::Program> program;
    std::vector<std::unique_ptr<Function>> functions;
    const pid_t process = getpid();
    int traced = 0; // runs
    bool broken = false;
  };

  Loaded& usable() {
    if (!loaded_) throw ExecuTorchError("the program is closed");
    Loaded& loaded = *loaded_;
    if (loaded.broken) throw ExecuTorchError("the program broke in an earlier run; load it again");
    if (loaded.region->changed()) throw ExecuTorchError("the file has been changed since it was loaded; load it again");
    if (loaded.threads.count() > 1 && loaded.process != getpid()) {
      throw ExecuTorchError("the program's threads stayed in the process that loaded it; load it in each process "
                            "after the fork, or with threads=1");
    }
    return loaded;
  }

  static void execute(Loaded& loaded, Function& function, const std::vector<std::unique_ptr<Memory>>& memories) {
    const std::vector<Spec>& specs = function.inputs;
    if (memories.size() != specs.size()) throw ExecuTorchError("a wrong number of inputs");
    std::vector<Input> inputs(specs.size()); // the values point to them
    std::vector<et::EValue> values;
    for (size_t i = 0; i < specs.size(); ++i) values.push_back(inputs[i].value(specs[i], *memories[i]));
    constexpr int kMostTraced = 256; // runs of some 25 KB each
    if (loaded.tracer && loaded.traced++ >= kMostTraced) {
      loaded.reset_trace();
      loaded.traced = 1;
    }
    const auto guard = loaded.threads.guard();
    Complaints complaints;
    try {
      function.run(values);
    } catch (const Aborted&) {
      loaded.broken = true;
      throw complaints.error("ExecuTorch gave up on the method '" + function.name + "'", et::Error::Internal,
                             "; an input may be outside what the program takes (too short, or an id beyond its table); "
                             "load the program again");
    }
  }

  std::mutex mutex_; // a Method is not thread-safe
  std::unique_ptr<Loaded> loaded_;
  int threads_ = 1;
};

} // namespace

NB_MODULE(_engine, m) {
  nb::set_leak_warnings(false); // nothing on stderr, also where the process ends with a program still loaded
  Turn::watch();
  et::runtime_init();
  et::register_pal(et::PalImpl::create(
      nullptr, abort_by_exception, nullptr, nullptr, Complaints::emit, nullptr, nullptr, "engine.cpp"));

  nb::exception<ExecuTorchError> error(m, "ExecuTorchError", PyExc_RuntimeError);
  error.attr("__module__") = "edgekit_executorch";
  m.attr("EXECUTORCH_VERSION") = EXECUTORCH_VERSION;
  m.def("log", [](bool on) { Complaints::to_stderr = on; }, nb::arg("on"));
  nb::class_<Program>(m, "Program")
      .def(nb::init<int, size_t, size_t, int, bool, bool>(), nb::arg("fd"), nb::arg("offset"), nb::arg("size"),
           nb::arg("threads"), nb::arg("mmap"), nb::arg("trace"))
      .def("run", &Program::run, nb::arg("method"), nb::arg("arrays"))
      .def("etdump", &Program::etdump)
      .def("methods", &Program::methods)
      .def("close", &Program::close)
      .def_prop_ro("threads", &Program::threads);
}
