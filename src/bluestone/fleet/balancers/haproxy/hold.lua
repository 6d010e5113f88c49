-- Keeps a request, or a connection, while no server of its proxy may take it: until one may, or its time is over.
-- It has not been sent to anybody by then, so nothing is repeated, whatever it asks for.
local STEP = 15  -- milliseconds between two looks

local function hold(txn, seconds)
    local proxy = txn.f:fe_name()
    local left = tonumber(seconds) * 1000
    -- Negative as soon as there is a usable server without a limit: one that is about to be drained has one.
    while txn.f:be_conn_free(proxy) >= 0 and left > 0 do
        core.msleep(STEP)
        left = left - STEP
    end
end

core.register_action("hold", { "http-req", "tcp-req" }, hold, 1)
