/**
 * Prints the adapters that Vulkan's loader finds as JSON: a program of its own, so that a driver that crashes or hangs
 * takes nobody along, and the drivers' libraries (LLVM among them) stay out of processes that compute on the CPU. Run by
 * adapter.ts.
 *
 * Structures and numbers as in vulkan_core.h, 1.1 with VK_KHR_driver_properties.
 */
import koffi from 'koffi';

export interface VulkanAdapter {
  name: string;
  /** VkPhysicalDeviceType: 1 integrated, 2 discrete, 3 virtual, 4 CPU, 0 other. */
  type: number;
  /** Of the driver, with its version; empty if it does not say. */
  driver: string;
  /** Of Vulkan, e.g. 1.3. */
  api: string;
}

const INSTANCE_CREATE_INFO = 1;
const PHYSICAL_DEVICE_PROPERTIES_2 = 1000059001;
const PHYSICAL_DEVICE_DRIVER_PROPERTIES = 1000196000;
const API_1_1 = (1 << 22) | (1 << 12);

/** Offsets in VkPhysicalDeviceProperties, which takes 824 bytes. */
const PROPERTIES = { api: 0, type: 16, name: 20 };
const PROPERTIES_BYTES = 1024;
/** In VkPhysicalDeviceDriverProperties; names take 256 bytes each. */
const DRIVER = { name: 20, info: 276, bytes: 536 };
const HANDLE_BYTES = 8;

const text = (bytes: Buffer, start: number) => bytes.toString('utf8', start, bytes.indexOf(0, start));

/** Structures that begin with a type and a pointer to the next one. */
function tagged(type: number, bytes: number, next?: Buffer): Buffer {
  const structure = Buffer.alloc(16 + bytes);
  structure.writeInt32LE(type);
  if (next) structure.writeBigUInt64LE(BigInt(koffi.address(next)), 8);
  return structure;
}

function findAdapters(): VulkanAdapter[] {
  const vulkan = koffi.load(process.platform === 'win32' ? 'vulkan-1.dll' : 'libvulkan.so.1');
  const application = tagged(0, 32);
  application.writeUInt32LE(API_1_1, 44);
  const info = tagged(INSTANCE_CREATE_INFO, 48);
  info.writeBigUInt64LE(BigInt(koffi.address(application)), 24);
  const instance = [null];
  const create = vulkan.func('int vkCreateInstance(void *, void *, _Out_ void **)');
  if (create(info, null, instance) !== 0) return [];
  const enumerate = vulkan.func('int vkEnumeratePhysicalDevices(void *, _Inout_ uint32_t *, void *)');
  const count = [0];
  enumerate(instance[0], count, null);
  const handles = Buffer.alloc(HANDLE_BYTES * count[0]);
  enumerate(instance[0], count, handles);
  const query = vulkan.func('void vkGetPhysicalDeviceProperties2(void *, void *)');
  return Array.from({ length: count[0] }, (_, i) => {
    const driver = tagged(PHYSICAL_DEVICE_DRIVER_PROPERTIES, DRIVER.bytes);
    const answer = tagged(PHYSICAL_DEVICE_PROPERTIES_2, PROPERTIES_BYTES, driver);
    query(handles.readBigUInt64LE(HANDLE_BYTES * i), answer);
    const properties = answer.subarray(16);
    const api = properties.readUInt32LE(PROPERTIES.api);
    return {
      name: text(properties, PROPERTIES.name),
      type: properties.readInt32LE(PROPERTIES.type),
      driver: `${text(driver, DRIVER.name)} ${text(driver, DRIVER.info)}`.trim(),
      api: `${api >>> 22}.${(api >>> 12) & 0x3ff}`,
    };
  });
}

console.log(JSON.stringify(findAdapters()));
