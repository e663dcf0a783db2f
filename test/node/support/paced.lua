-- wrk's hook: each connection waits this long before its request, so the load is bounded
function delay()
  return 40
end
