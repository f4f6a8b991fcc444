-- wrk's part of benches/run: signed usage pushes, every record unlike every other.
--
-- Records come as from a fleet of 100,000 SIMs that reports every 15 minutes: each 100,000 records
-- fill one window of 15 minutes, one record a SIM in no order, then the next window begins.
--
-- BENCH_DATE, BENCH_SIGNATURE  sent as they are: one signature is good for a second's every push
-- BENCH_BASE_MS                where the first window begins; runs on one store must not overlap
-- BENCH_RECORDS                records in a body: 1, or an array in a container
-- BENCH_THREADS                wrk's -t
-- BENCH_WINDOW_MS              how long a window is, where not 15 minutes
-- BENCH_LAST_MS                no record is later than this

local SIMS = 100000
local WINDOW_MS = tonumber(os.getenv("BENCH_WINDOW_MS") or 900000)
local LAST_MS = tonumber(os.getenv("BENCH_LAST_MS") or math.huge)

local threads = tonumber(os.getenv("BENCH_THREADS"))
local records = tonumber(os.getenv("BENCH_RECORDS"))
local base_ms = tonumber(os.getenv("BENCH_BASE_MS"))
local head = string.format('{"datePush":%s,"signature":"%s",',
  os.getenv("BENCH_DATE"), os.getenv("BENCH_SIGNATURE"))

local started = {}

function setup(thread)
  thread:set("first", #started)
  table.insert(started, thread)
end

local fields = '"giccid":"8944501503%09d","data_usage":%d,"start_time":%d,"duration":60,' ..
  '"mcc":"%s","mnc":"%s","country_code":"%s","apn":"iot.%d","imsi":"460001%09d","sim_group":"group-%02d"'
-- A fleet's mix: few networks carry most of it.
local networks = {
  {"460", "00", "CN"}, {"460", "01", "CN"}, {"460", "11", "CN"}, {"262", "01", "DE"},
  {"262", "02", "DE"}, {"208", "01", "FR"}, {"310", "26", "US"}, {"234", "15", "GB"},
}
local format = string.format
local next_record, request_head

-- The n-th record of all: 61,169 and 100,000 share no factor, so a window visits each SIM once.
local function record(n)
  local in_window = n % SIMS
  local window = (n - in_window) / SIMS
  local sim = (in_window * 61169) % SIMS
  local network = networks[sim % 8 + 1]
  local start_ms = base_ms + window * WINDOW_MS + (in_window * 7919) % WINDOW_MS
  if start_ms > LAST_MS then start_ms = LAST_MS - (in_window * 7919) % WINDOW_MS end
  return format(fields, sim, 1000000000 + n, start_ms, network[1], network[2], network[3],
    sim % 3, sim, sim % 20)
end

local function take()
  local n = next_record
  next_record = n + threads
  return record(n)
end

local function body()
  if records == 1 then return head .. take() .. "}" end
  local rows = {}
  for i = 1, records do rows[i] = "{" .. take() .. "}" end
  return head .. '"records":[' .. table.concat(rows, ",") .. "]}"
end

function init(args)
  next_record = first
  -- The Host header and the path; numbers have one width, so every body has the first one's length.
  local sample = wrk.format("POST", "/v1/data-usage", {["Content-Type"] = "application/json"}, body())
  local ends = sample:find("\r\n\r\n", 1, true)
  request_head = sample:sub(1, ends + 3)
end

function request()
  return request_head .. body()
end

function done(summary, latency)
  local errors = summary.errors
  io.write(format(
    'RESULT {"requests":%d,"duration_us":%d,"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
